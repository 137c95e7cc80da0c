/** Stores by URL, for the command line: `sqlite:<path>` and `postgres://user@host/database`. */

import { DaybookError } from '../base/errors.ts'
import type { Store } from './store.ts'

/** Drivers are loaded only when they are asked for. Throws INVALID_OPTION; the URL, which may hold a password, is not shown. */
export async function storeFromUrl(url: string): Promise<Store> {
  if (/^sqlite:./.test(url)) {
    const { sqlite } = await import('./sqlite/index.ts')
    return sqlite({ path: url.replace(/^sqlite:(\/\/)?/, '') })
  }
  if (/^postgres(ql)?:\/\//.test(url)) {
    const { postgres } = await import('./postgres/index.ts')
    return postgres({ url })
  }
  throw new DaybookError(
    'INVALID_OPTION',
    'The store is given as a URL that Daybook does not know.',
    {
      hint: 'Use sqlite:path/to/file.db or postgres://user:password@host/database.',
    },
  )
}
