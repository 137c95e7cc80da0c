/** `daybook/sqlite`: a store on Node's own SQLite. */

export { sqlite } from './sqlite-store.ts'
export type { SqliteOptions } from './sqlite-store.ts'
