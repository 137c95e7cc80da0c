/** Every fuzz target, in the order in which they are run. */

import type { FuzzTarget } from './fuzz-target.ts'
import { recordTarget, taggedJsonTarget } from './targets/codec.ts'
import { linesTarget, requestsTarget } from './targets/control.ts'
import {
  journalDamageTarget,
  journalForgeryTarget,
  journalOnDiskTarget,
  journalRepairTarget,
} from './targets/journal.ts'
import { bookOptionsTarget, optionTablesTarget } from './targets/options.ts'
import { redisPayloadsTarget } from './targets/redis-payloads.ts'
import { redisRequestsTarget } from './targets/redis.ts'
import { cachesFileTarget, checkpointsFileTarget, deadLettersTarget } from './targets/state.ts'
import { arrayTextTarget, keysTarget, timestampsTarget, valuesTarget } from './targets/store.ts'

export const targets: readonly FuzzTarget[] = [
  recordTarget,
  taggedJsonTarget,
  journalDamageTarget,
  journalForgeryTarget,
  journalRepairTarget,
  journalOnDiskTarget,
  deadLettersTarget,
  cachesFileTarget,
  checkpointsFileTarget,
  optionTablesTarget,
  bookOptionsTarget,
  keysTarget,
  valuesTarget,
  timestampsTarget,
  arrayTextTarget,
  linesTarget,
  requestsTarget,
  redisRequestsTarget,
  redisPayloadsTarget,
]
