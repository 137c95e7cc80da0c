/** The part of a book that its files alone can give, for commands on a stopped directory. */

import { areIds, type ControlBook } from '../control/methods.ts'
import type { DeadLetters } from '../flush/dead-letters.ts'
import { DaybookError } from '../base/errors.ts'
import { UsageError } from './exit-codes.ts'

/** `letters` is undefined where the directory has never had any. */
export function stoppedBook(letters: DeadLetters | undefined): ControlBook {
  const needsStore = (): never => {
    throw new UsageError(
      'This needs the store: give --store sqlite:path or postgres://…, or set DAYBOOK_STORE.',
    )
  }
  const show = async (id: string) => {
    const letter = await letters?.get(id)
    if (letter !== undefined) return letter
    throw new DaybookError('DEAD_LETTER_UNKNOWN', `There is no dead letter ${id}.`, {
      details: { id },
      hint: 'It may have been retried or discarded; list them anew.',
    })
  }
  return {
    stats: () => ({
      state: 'stopped',
      deadLetters: { count: letters?.count ?? 0, bytes: letters?.bytes ?? 0 },
    }),
    flush: needsStore,
    pause: needsStore,
    resume: needsStore,
    deadLetters: {
      show,
      current: needsStore,
      list: async (filter, { after, limit = 100 }) =>
        (await letters?.list(filter, { after, limit })) ?? { letters: [] },
      groups: () => letters?.groups() ?? [],
      retry: needsStore,
      edit: needsStore,
      async discard(selection) {
        if (!areIds(selection)) {
          return letters === undefined ? 0 : discardFirst(letters, selection)
        }
        const ids: string[] = []
        for (const id of selection) ids.push((await show(id)).id)
        await letters?.settle(ids, 'discarded')
        return ids.length
      },
    },
  }
}

const pageLetters = 500

async function discardFirst(
  letters: DeadLetters,
  {
    filter,
    first = Infinity,
  }: { filter: Parameters<DeadLetters['list']>[0]; first: number | undefined },
): Promise<number> {
  let discarded = 0
  while (discarded < first) {
    const limit = Math.min(pageLetters, first - discarded)
    // What is discarded is gone from the next page, so each page is the first one.
    const page = await letters.list(filter, { limit })
    await letters.settle(
      page.letters.map(({ id }) => id),
      'discarded',
    )
    discarded += page.letters.length
    if (page.next === undefined) break
  }
  return discarded
}
