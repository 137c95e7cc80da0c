/** A backlog to drain: distinct keys, written durably while the flusher rests. */

import type { User } from './rows.ts'

const chunk = 2000

interface Writable {
  setMany(entries: Iterable<[string, User]>): Promise<unknown>
}

export async function writeBacklog(cache: Writable, rows: readonly User[]): Promise<void> {
  for (let from = 0; from < rows.length; from += chunk) {
    const part = rows.slice(from, from + chunk)
    await cache.setMany(part.map((row, index): [string, User] => [String(from + index), row]))
  }
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return (performance.now() - from) / 1000
}

/** A drain that lost a row is no result. */
export function assertRows(found: number, expected: number): void {
  if (found !== expected) throw new Error(`the table has ${found} rows instead of ${expected}`)
}
