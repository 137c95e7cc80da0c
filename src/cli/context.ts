/** What a command gets from the process it runs in. Tests hand in their own. */

import type { Readable } from 'node:stream'
import type { Terminal } from './terminal.ts'

export interface CommandContext {
  readonly terminal: Terminal
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly input: Readable & { readonly isTTY?: boolean | undefined }
  /** Aborted by Ctrl-C: a command lets go of what it holds and ends. */
  readonly signal: AbortSignal
}
