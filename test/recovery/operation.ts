/** The operations of the ledger: see `ledger.ts`. Known to the processes that make them, too. */

/** What the writer was told of an operation. */
export type Said = 'acknowledged' | 'refused' | 'unknown'

export const counters = 7

export function counterOf(operation: number): string {
  return `c${operation % counters}`
}

export function noteOf(operation: number): string {
  return `${counterOf(operation)}:${operation}`
}

/** Errors after which a write was certainly never accepted. */
const refusals: readonly string[] = ['JOURNAL_FULL', 'OVERLOADED']

export function saidBy(code: string): Said {
  return refusals.includes(code) ? 'refused' : 'unknown'
}
