/** What became of dead letters that were written again: in the database, refused again, or still on the way. */

import { isDaybookError } from '../base/errors.ts'
import type { DeadLetter, DeadLetterPage } from '../flush/dead-letter.ts'
import type { Access } from './access.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { counted } from './quantities.ts'
import { printable, type Terminal } from './terminal.ts'

export interface RetryResult {
  readonly receipts: readonly { readonly lane: number; readonly position: number }[]
  readonly skipped: readonly { readonly id: string; readonly reason: string }[]
}

export interface RetryOutcome {
  readonly retried: number
  readonly applied: number
  /** The new letters. */
  readonly refusedAgain: readonly Pick<DeadLetter, 'id' | 'cache' | 'key' | 'failure'>[]
  /** Why it is not known yet; they are safe in the journal. */
  readonly pendingFor: string | undefined
  readonly skipped: RetryResult['skipped']
}

export async function outcomeOfRetry(
  access: Access,
  { receipts, skipped }: RetryResult,
  timeoutMs: number,
): Promise<RetryOutcome> {
  const retried = receipts.length
  if (retried === 0)
    return { retried, applied: 0, refusedAgain: [], pendingFor: undefined, skipped }
  try {
    await access.request('flush', {}, { timeoutMs })
  } catch (error) {
    if (!isDaybookError(error)) throw error
    return { retried, applied: 0, refusedAgain: [], pendingFor: error.message, skipped }
  }
  const refusedAgain = await lettersAt(access, receipts)
  return {
    retried,
    applied: retried - refusedAgain.length,
    refusedAgain,
    pendingFor: undefined,
    skipped,
  }
}

/** Letters of exactly these positions. */
async function lettersAt(access: Access, receipts: RetryResult['receipts']): Promise<DeadLetter[]> {
  const positions = new Set(receipts.map(({ position }) => position))
  const found: DeadLetter[] = []
  // A cursor is a place in the order of positions; the lane in it means nothing.
  let after: string | undefined = `0-${Math.min(...positions) - 1}`
  while (after !== undefined) {
    const page = (await access.request('deadLetters.list', {
      after,
      limit: 1_000,
    })) as DeadLetterPage
    found.push(...page.letters.filter(({ position }) => positions.has(position)))
    after = page.next
  }
  return found
}

export function retryExitCode({
  retried,
  refusedAgain,
  pendingFor,
  skipped,
}: RetryOutcome): ExitCode {
  if (pendingFor !== undefined) return exitCodes.unreachable
  const nothing = retried === 0 && skipped.length === 0
  return refusedAgain.length > 0 || skipped.length > 0 || nothing ? exitCodes.problem : exitCodes.ok
}

export function retryLines(terminal: Terminal, outcome: RetryOutcome): string[] {
  const { retried, applied, refusedAgain, pendingFor, skipped } = outcome
  const lines: string[] = []
  if (retried === 0) lines.push('Nothing was retried: no dead letter fits.')
  else if (pendingFor !== undefined) {
    lines.push(
      `${counted(retried, 'dead letter')} on the way again: safe in the journal, not in the database yet.`,
      `  ${printable(pendingFor)}`,
    )
  } else {
    lines.push(
      `Retried ${counted(retried, 'dead letter')}: ${applied} in the database, ${refusedAgain.length} refused again.`,
    )
  }
  for (const { id, cache, key, failure } of refusedAgain.slice(0, 20)) {
    const why = `${terminal.style('red', failure.code)} ${printable(failure.message, 80)}`
    lines.push(`  ${id}  ${printable(cache)} ${printable(key, 40)}  ${why}`)
  }
  if (refusedAgain.length > 20) lines.push('  … see daybook dead-letters list')
  for (const { id, reason } of skipped.slice(0, 20))
    lines.push(`  ${id} left alone: ${printable(reason)} (--force retries it)`)
  if (skipped.length > 20)
    lines.push(`  … ${counted(skipped.length - 20, 'more letter')} left alone`)
  return lines
}
