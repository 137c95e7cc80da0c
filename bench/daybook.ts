/** Daybook as users get it: the built modules, which `npm run bench` makes first, typed by their sources. */

const load = (path: string): Promise<unknown> =>
  import(new URL(`../dist/${path}`, import.meta.url).href)

export const { openDaybook } = (await load('index.js')) as typeof import('../src/index.ts')
export const { sqlite } = (await load(
  'store/sqlite/index.js',
)) as typeof import('../src/store/sqlite/index.ts')
export const { postgres } = (await load(
  'store/postgres/index.js',
)) as typeof import('../src/store/postgres/index.ts')
