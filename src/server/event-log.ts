/**
 * What the log of a server says of its book, besides what the engine logs by itself (halted, fenced, stalled, the
 * journal): whoever runs a server has no listeners of their own. No keys and no values.
 */

import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import type { Daybook } from '../book/daybook.ts'

/** A database that refuses everything must not fill the log: refusals within this time are one line more, at its end. */
const quietMs = 10_000

export function logEvents(
  book: Pick<Daybook, 'on'>,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): void {
  book.on('storeDown', ({ failure: { code, message } }) => {
    logger.warn(
      { code, reason: message },
      'the database does not answer; writes go on into the journal',
    )
  })
  book.on('storeUp', ({ downMs }) => {
    logger.info({ downMs: Math.round(downMs) }, 'the database answers again')
  })

  let untold = 0
  let isQuiet = false
  const tell = (fields: object, count: number): void => {
    logger.warn(
      { ...fields, letters: count },
      'the database refused writes, which are dead letters now: see daybook dead-letters list',
    )
    isQuiet = true
    clock.setTimer(quietMs, () => {
      isQuiet = false
      if (untold === 0) return
      const more = untold
      untold = 0
      tell({}, more)
    })
  }
  book.on('deadLettered', ({ letters, failure }) => {
    if (isQuiet) untold += letters.length
    else tell({ first: letters[0], code: failure?.code, reason: failure?.message }, letters.length)
  })
}
