/**
 * Applying a range of a lane in which the store refuses something.
 *
 * The coalesced range is tried as a whole. Where the store rejects it, the *sequence* of mutations is split in half, and
 * both halves are applied in order, each coalesced, in the same transaction, down to the single mutation that is
 * refused. For k refused mutations among n this takes O(k log n) round trips, and it does three jobs at once:
 *
 * - it finds the poison row by bisection, while the good ones go in;
 * - it un-coalesces: where only the coalesced form breaks a constraint (two rows swap a unique value), halving ends at
 *   the sequence as it was written, which is what the application saw succeed;
 * - it keeps order: what comes after a dead letter of the same key is decided after it.
 *
 * Atomic groups are never split: a group whose member is refused becomes dead letters as a whole.
 */

import type { Entry, Position } from '../mutation/mutation.ts'
import type { StoreFailure, StoreTransaction } from '../store/store.ts'
import { Batch } from './batch.ts'
import type { FlushTable, FlushTables } from './flush-table.ts'
import { letterId, letterOrigin } from './letter-id.ts'

/** Why an entry does not go to the store. */
export interface Verdict {
  readonly entry: Entry
  readonly id: string
  readonly reason: 'rejected' | 'parked'
  /** The letter it is parked behind. */
  readonly behind: string | undefined
  /** Undefined for parked ones. */
  readonly failure: StoreFailure | undefined
  /** The first letter of its atomic group, where it is in one. */
  readonly group: string | undefined
}

export interface CarefulContext {
  readonly tables: FlushTables
  readonly lane: number
  readonly startedAt: number
  classify(error: unknown): StoreFailure
  /** Ids of the dead letters that later writes of the key queue behind, oldest first. */
  blocking(cache: string, key: string): readonly string[]
  /** All mutations before this position, of all lanes, are in the store: a parent that is missing is not on its way. */
  parentsArrived(position: Position): boolean
}

export interface CarefulResult {
  /** Units that were dealt with: applied or judged. */
  readonly units: number
  readonly verdicts: readonly Verdict[]
  /** Letters whose retry was dealt with here. */
  readonly settled: readonly string[]
  /** Letters that a newer set or delete of their key has made irrelevant. */
  readonly superseded: readonly string[]
  /** The unit after the last one waits for a parent that may be in another lane, at this position. */
  readonly waitsForParent: Position | undefined
}

/** Entries that are applied or refused together: one, or the members of an atomic batch in this lane. */
export type Unit = readonly Entry[]

export function unitsOf(entries: readonly Entry[]): Unit[] {
  const units: Unit[] = []
  let unit: Entry[] = []
  for (const entry of entries) {
    unit.push(entry)
    if (entry.continues) continue
    units.push(unit)
    unit = []
  }
  if (unit.length > 0) units.push(unit)
  return units
}

/** What has been decided so far. A fork is tried on the store and kept only if the store takes it. */
class Judgement {
  readonly verdicts: Verdict[]
  readonly settled: Set<string>
  readonly superseded: Set<string>
  readonly #context: CarefulContext

  constructor(context: CarefulContext, earlier?: Judgement) {
    this.#context = context
    this.verdicts = [...(earlier?.verdicts ?? [])]
    this.settled = new Set(earlier?.settled)
    this.superseded = new Set(earlier?.superseded)
  }

  fork(): Judgement {
    return new Judgement(this.#context, this)
  }

  /** Takes the unit's entries for the store, or parks the whole unit behind a dead letter of one of its keys. */
  admit(unit: Unit): boolean {
    // First, or two members of one key would wait for each other when their group is retried.
    this.#settleRetries(unit)
    const behind = unit.map((entry) => this.#blockedBy(entry)).find((id) => id !== undefined)
    if (behind !== undefined) {
      this.#judge(unit, 'parked', undefined, behind)
      return false
    }
    for (const entry of unit) this.#supersede(entry)
    return true
  }

  reject(unit: Unit, failure: StoreFailure): void {
    this.#settleRetries(unit)
    this.#judge(unit, 'rejected', failure, undefined)
  }

  #judge(
    unit: Unit,
    reason: Verdict['reason'],
    failure: StoreFailure | undefined,
    behind: string | undefined,
  ): void {
    const ids = unit.map((entry) => letterId(entry))
    unit.forEach((entry, at) => {
      const group = unit.length > 1 ? ids[0] : undefined
      this.verdicts.push({ entry, id: ids[at] as string, reason, failure, behind, group })
    })
  }

  #settleRetries(unit: Unit): void {
    for (const entry of unit) if (entry.retryOf !== undefined) this.settled.add(entry.retryOf)
  }

  #openLetters(entry: Entry): string[] {
    const known = this.#context
      .blocking(entry.cache, entry.key)
      .filter((id) => !this.settled.has(id) && !this.superseded.has(id))
    for (const verdict of this.verdicts) {
      const same = verdict.entry.cache === entry.cache && verdict.entry.key === entry.key
      if (same && !this.superseded.has(verdict.id)) known.push(verdict.id)
    }
    return known
  }

  /** A retry stands where the mutation that it retries stood: it queues behind older letters only. */
  #blockedBy(entry: Entry): string | undefined {
    const table = this.#context.tables.get(entry.cache) as FlushTable
    if (!table.parks(entry.mutation)) return undefined
    const origin = entry.retryOf === undefined ? entry.position : letterOrigin(entry.retryOf)
    return this.#openLetters(entry).find((id) => letterOrigin(id) < origin)
  }

  #supersede(entry: Entry): void {
    if (entry.mutation.kind === 'patch' || entry.retryOf !== undefined) return
    for (const id of this.#openLetters(entry)) this.superseded.add(id)
  }
}

/** Applies as many of the units as can be decided now. Throws what is not a rejection; then nothing is decided. */
export async function applyCarefully(
  units: readonly Unit[],
  transaction: StoreTransaction,
  context: CarefulContext,
): Promise<CarefulResult> {
  let judgement = new Judgement(context)
  let waitsForParent: Position | undefined

  /** Returns the first unit that could not be decided, or `end`. */
  const apply = async (start: number, end: number): Promise<number> => {
    const attempt = judgement.fork()
    // Asked before the write: a parent that arrives while the write fails has not been seen by it.
    const arrived = context.parentsArrived((units[start]?.[0] as Entry).position)
    const admitted = units.slice(start, end).filter((unit) => attempt.admit(unit))
    const failure = await tryWrite(admitted, transaction, context)
    if (failure === undefined) {
      judgement = attempt
      return end
    }
    if (end - start === 1) {
      const unit = units[start] as Unit
      const position = (unit[0] as Entry).position
      if (failure.missingParent === true && !arrived) {
        waitsForParent = position
        return start
      }
      judgement.reject(unit, failure)
      return end
    }
    const middle = start + Math.ceil((end - start) / 2)
    const reached = await apply(start, middle)
    return reached < middle ? reached : apply(middle, end)
  }

  // Nothing of the range may have an effect any more.
  const reached = units.length === 0 ? 0 : await apply(0, units.length)
  return {
    units: reached,
    verdicts: judgement.verdicts,
    settled: [...judgement.settled],
    superseded: [...judgement.superseded],
    waitsForParent,
  }
}

async function tryWrite(
  units: readonly Unit[],
  transaction: StoreTransaction,
  context: CarefulContext,
): Promise<StoreFailure | undefined> {
  if (units.length === 0) return undefined
  const batch = new Batch(context.lane, 0, context.startedAt)
  for (const unit of units) {
    for (const entry of unit) {
      batch.add(entry, (context.tables.get(entry.cache) as FlushTable).schema.blank)
    }
  }
  try {
    await transaction.write(batch.tables(context.tables))
    return undefined
  } catch (error) {
    const failure = context.classify(error)
    if (failure.kind !== 'rejected') throw error
    return failure
  }
}
