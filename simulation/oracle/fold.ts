/** What a sequence of journaled mutations makes of a row: one after the other, by the oracle's own rules. */

import { blanks, type CacheName, type Row } from '../tables.ts'
import type { JournalRecord } from './journal-image.ts'

export function applied(row: Row | undefined, record: JournalRecord): Row | undefined {
  if (record.kind === 'delete') return undefined
  if (record.kind === 'set') return record.fields
  const next: Record<string, unknown> = {
    ...(row ?? blanks[record.cache as CacheName]),
    ...record.fields,
  }
  for (const [name, amount] of Object.entries(record.amounts)) {
    next[name] = Number(next[name] ?? 0) + Number(amount)
  }
  return next
}
