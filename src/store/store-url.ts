/**
 * Stores by URL, for the command line: `sqlite:<path>`, and `postgres://user@host/database` with whatever parameters `pg`
 * takes, and `schema=<name>` for the schema that has Daybook's own tables.
 */

import { DaybookError } from '../base/errors.ts'
import type { Store } from './store.ts'

/** Drivers are loaded only when they are asked for. Throws INVALID_OPTION; the URL, which may hold a password, is not shown. */
export async function storeFromUrl(url: string): Promise<Store> {
  const path = sqlitePathOf(url)
  if (path !== undefined) {
    const { sqlite } = await import('./sqlite/index.ts')
    return sqlite({ path })
  }
  if (/^postgres(ql)?:\/\//.test(url)) {
    const { postgres } = await import('./postgres/index.ts')
    const { rest, schema } = splitSchema(url)
    return postgres({ url: rest }, { schema })
  }
  throw new DaybookError(
    'INVALID_OPTION',
    'The store is given as a URL that Daybook does not know.',
    {
      hint: 'Use sqlite:path/to/file.db or postgres://user:password@host/database.',
    },
  )
}

/** undefined where the URL is of another database. */
export function sqlitePathOf(url: string): string | undefined {
  return /^sqlite:./.test(url) ? url.replace(/^sqlite:(\/\/)?/, '') : undefined
}

/** The same URL with the schema for Daybook's own tables. */
export function withSchema(url: string, schema: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}schema=${encodeURIComponent(schema)}`
}

/** By hand, for `pg` takes more forms than the URL standard: a password with odd characters, a socket's directory. */
function splitSchema(url: string): { rest: string; schema: string | undefined } {
  const at = url.indexOf('?')
  if (at === -1) return { rest: url, schema: undefined }
  const parameters = new URLSearchParams(url.slice(at + 1))
  const schema = parameters.get('schema') ?? undefined
  parameters.delete('schema')
  const rest =
    parameters.size === 0 ? url.slice(0, at) : `${url.slice(0, at)}?${parameters.toString()}`
  return { rest, schema }
}
