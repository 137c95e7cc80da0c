/** All faults, in the order of the report. */

import type { Fault } from './fault.ts'
import { diskFull, noSpace, syncError, writeError } from './faults/disks.ts'
import { kill, killAtCall, killAtCommit, killAtStep, killRecovery } from './faults/kills.ts'
import {
  closeInOutage,
  cutAfterCommit,
  cutBeforeCommit,
  halfOpen,
  serverKill,
} from './faults/outages.ts'
import { takeOver, twoProcesses } from './faults/processes.ts'

export const faults: readonly Fault[] = [
  ...[kill, killAtStep, killAtCall, killRecovery, killAtCommit],
  ...[takeOver, twoProcesses],
  ...[syncError, writeError, noSpace, diskFull],
  ...[closeInOutage, serverKill, cutBeforeCommit, cutAfterCommit, halfOpen],
]
