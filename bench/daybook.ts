/** Daybook as users get it: the built modules, which `npm run bench` makes first, typed by their sources. */

import type * as daybook from '../src/index.ts'
import type * as postgresStore from '../src/store/postgres/index.ts'
import type * as sqliteStore from '../src/store/sqlite/index.ts'

const load = (path: string): Promise<unknown> =>
  import(new URL(`../dist/${path}`, import.meta.url).href)

export const { openDaybook } = (await load('index.js')) as typeof daybook
export const { sqlite } = (await load('store/sqlite/index.js')) as typeof sqliteStore
export const { postgres } = (await load('store/postgres/index.js')) as typeof postgresStore
