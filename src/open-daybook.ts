/** Where the engine meets the real world: the system's clock, chance, files and sockets. */

import { systemClock } from './base/clock.ts'
import { reasonOf } from './base/errors.ts'
import { silentLogger } from './base/log.ts'
import { nodeFiles } from './base/node-files.ts'
import type { Ports } from './base/ports.ts'
import { systemRandom } from './base/random.ts'
import type { Daybook } from './book/daybook.ts'
import { openBook } from './book/open.ts'
import type { DaybookOptions } from './book/options.ts'
import { startControl } from './control/control-server.ts'

/**
 * Opens the book in `options.directory`: recovers what is pending there, and begins to flush it.
 *
 * `ports` replace parts of the outside world, for simulations; leave them out.
 */
export async function openDaybook(
  options: DaybookOptions,
  ports: Partial<Ports> = {},
): Promise<Daybook> {
  const system = {
    clock: systemClock,
    random: systemRandom,
    files: nodeFiles,
    logger: silentLogger,
    ...ports,
  }
  const book = await openBook(options, system)
  // A simulated directory has no place for a socket.
  if (options.control !== false && system.files === nodeFiles) await listen(book, options, system)
  return book
}

/** The book works without its control socket too, so a failure is only logged. */
async function listen(book: Daybook, options: DaybookOptions, system: Ports): Promise<void> {
  const logger = options.logger ?? system.logger
  const { directory } = options
  try {
    const control = await startControl(book, { directory, clock: system.clock, logger })
    book.onClose(() => control.close())
  } catch (error) {
    const reason = reasonOf(error)
    logger.warn(
      { directory, reason },
      'no control socket: the daybook command cannot reach this process',
    )
  }
}
