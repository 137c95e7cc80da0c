/** Where the engine meets the real world: the system's clock, chance, files and sockets. */

import { systemClock } from './base/clock.ts'
import { silentLogger } from './base/log.ts'
import { nodeFiles } from './base/node-files.ts'
import type { Ports } from './base/ports.ts'
import { systemRandom } from './base/random.ts'
import type { Daybook } from './book/daybook.ts'
import { openBook } from './book/open.ts'
import type { DaybookOptions } from './book/options.ts'

/**
 * Opens the book in `options.directory`: recovers what is pending there, and begins to flush it.
 *
 * `ports` replace parts of the outside world, for simulations; leave them out.
 */
export async function openDaybook(
  options: DaybookOptions,
  ports: Partial<Ports> = {},
): Promise<Daybook> {
  return openBook(options, {
    clock: systemClock,
    random: systemRandom,
    files: nodeFiles,
    logger: silentLogger,
    ...ports,
  })
}
