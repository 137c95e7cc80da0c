/** The outside world, handed in once: a simulation runs the same engine on other ports. */

import type { Clock } from './clock.ts'
import type { Files } from './files.ts'
import type { Logger } from './log.ts'
import type { Random } from './random.ts'

export interface Ports {
  readonly clock: Clock
  readonly random: Random
  readonly files: Files
  readonly logger: Logger
}
