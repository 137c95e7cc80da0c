/** Every command that the server knows. */

import type { Command } from '../command.ts'
import { bitfieldCommands } from './bitfield-command.ts'
import { bitopCommands } from './bitop-command.ts'
import { bitposCommands } from './bitpos-command.ts'
import { channelCommands } from './channel-commands.ts'
import { connectionCommands } from './connection-commands.ts'
import { daybookCommands } from './daybook-commands.ts'
import { debugCommands } from './debug-commands.ts'
import { dumpCommands } from './dump-commands.ts'
import { hashCommands } from './hash-commands.ts'
import { keyCommands } from './key-commands.ts'
import { listCommands } from './list-commands.ts'
import { scriptingCommands } from './script-commands.ts'
import { serverCommands } from './server-commands.ts'
import { setCommands } from './set-commands.ts'
import { sortedSetAlgebraCommands } from './sorted-set-algebra-commands.ts'
import { sortedSetCommands } from './sorted-set-commands.ts'
import { sortedSetPopCommands } from './sorted-set-pop-commands.ts'
import { sortedSetRangeCommands } from './sorted-set-range-commands.ts'
import { sortCommands } from './sort-command.ts'
import { streamClaimCommands } from './stream-claim-commands.ts'
import { streamCommands } from './stream-commands.ts'
import { streamGroupCommands } from './stream-group-commands.ts'
import { streamInfoCommands } from './stream-info-commands.ts'
import { streamReadCommands } from './stream-read-commands.ts'
import { stringCommands } from './string-commands.ts'
import { timeCommands } from './time-commands.ts'
import { transactionCommands } from './transaction-commands.ts'

export const allCommands: readonly Command[] = [
  ...stringCommands,
  ...bitopCommands,
  ...bitposCommands,
  ...bitfieldCommands,
  ...hashCommands,
  ...setCommands,
  ...listCommands,
  ...sortedSetCommands,
  ...sortedSetRangeCommands,
  ...sortedSetPopCommands,
  ...sortedSetAlgebraCommands,
  ...streamCommands,
  ...streamReadCommands,
  ...streamInfoCommands,
  ...streamGroupCommands,
  ...streamClaimCommands,
  ...keyCommands,
  ...dumpCommands,
  ...sortCommands,
  ...transactionCommands,
  ...connectionCommands,
  ...channelCommands,
  ...serverCommands,
  ...debugCommands,
  ...timeCommands,
  ...scriptingCommands,
  ...daybookCommands,
  // Run by the connection itself: it is the one that knows what was queued.
  { name: 'exec', arity: 1, flags: ['noscript', 'no_multi'], group: 'transactions', run: () => '' },
]
