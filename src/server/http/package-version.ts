/** The version in the package's manifest. */

import { createRequire } from 'node:module'

export function packageVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)('../../../package.json')
  return (manifest as { version: string }).version
}
