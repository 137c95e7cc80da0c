/**
 * Working with dead letters: look, retry, edit and retry, discard, export.
 *
 * A retry is a new mutation in the journal that names the letter. The flusher settles the letter, durably, before the
 * checkpoint passes the retry, so a crash anywhere neither loses the mutation nor applies it twice. Letters that are
 * parked behind a retried one are retried with it, in order; while that happens, writes of the key wait their turn.
 */

import { DaybookError } from '../base/errors.ts'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterGroup,
  DeadLetterPage,
} from '../flush/dead-letter.ts'
import { letterOrigin } from '../flush/letter-id.ts'
import type { Entry, Fields, Mutation, Position } from '../mutation/mutation.ts'
import { receiptOf, type Receipt } from './cache.ts'
import type { Engine } from './engine.ts'
import type { Keyspace } from './keyspace.ts'

/** Which letters: by id, all that fit a filter, or the first so many of them as a canary. */
export type DeadLetterSelection =
  | string
  | readonly string[]
  | { readonly filter?: DeadLetterFilter | undefined; readonly first?: number | undefined }

export interface RetryResult {
  /** One per retried letter, in the order in which they will be applied. */
  readonly receipts: readonly Receipt[]
  /** Letters that were left alone, with the reason. */
  readonly skipped: readonly { readonly id: string; readonly reason: string }[]
}

/** What a letter is to become: exactly one of these. */
export type Edit =
  | { readonly set: unknown }
  | { readonly merge: object }
  | { readonly increment: object }
  | { readonly delete: true }

const pageLetters = 500

export class DeadLetterDesk {
  readonly #engine: Engine
  readonly #keyspaceOf: (cache: string) => Promise<Keyspace>

  /** Use `book.deadLetters`. @internal */
  constructor(engine: Engine, keyspaceOf: (cache: string) => Promise<Keyspace>) {
    this.#engine = engine
    this.#keyspaceOf = keyspaceOf
  }

  get count(): number {
    return this.#engine.deadLetters.count
  }

  /** How many fit the filter. */
  matching(filter: DeadLetterFilter = {}): number {
    return this.#engine.deadLetters.matching(filter)
  }

  /** A page, by position; `next` in the result is the cursor for the page after it. Default limit 100. */
  async list(
    filter: DeadLetterFilter = {},
    page: { readonly after?: string | undefined; readonly limit?: number | undefined } = {},
  ): Promise<DeadLetterPage> {
    return this.#engine.deadLetters.list(filter, { after: page.after, limit: page.limit ?? 100 })
  }

  /** Letters that failed alike, with counts. */
  groups(): DeadLetterGroup[] {
    return this.#engine.deadLetters.groups()
  }

  async show(id: string): Promise<DeadLetter> {
    const letter = await this.#engine.deadLetters.get(id)
    if (letter !== undefined) return letter
    throw new DaybookError('DEAD_LETTER_UNKNOWN', `There is no dead letter ${id}.`, {
      details: { id },
      hint: 'It may have been retried or discarded; list them anew.',
    })
  }

  /** What a read of the letter's key would give now: what a retry meets. Throws where the store cannot be read. */
  async current(
    id: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Fields | undefined> {
    const letter = await this.show(id)
    const keyspace = await this.#keyspaceOf(letter.cache)
    let current: Fields | undefined
    let newest: Position = 0
    await keyspace.withCurrent(
      letter.key,
      (value, position) => {
        current = value
        newest = position
      },
      options.signal,
    )
    await this.#engine.journal.whenDurable(newest)
    return current
  }

  /**
   * Puts letters back into the journal. A letter that a newer set or delete of its key has superseded is skipped unless
   * `force` is given: retrying it would go back in time.
   */
  async retry(
    selection: DeadLetterSelection,
    options: {
      readonly force?: boolean
      readonly signal?: AbortSignal
      readonly timeoutMs?: number
    } = {},
  ): Promise<RetryResult> {
    const chosen = await this.#select(selection)
    const receipts: Receipt[] = []
    const skipped: { id: string; reason: string }[] = []
    const done = new Set<string>()
    for (const letter of chosen) {
      if (done.has(letter.id)) continue
      if (letter.superseded === true && options.force !== true) {
        skipped.push({ id: letter.id, reason: 'a newer value of the key has been written' })
        continue
      }
      for (const [id, receipt] of await this.#retryKey(letter, chosen, undefined, options)) {
        done.add(id)
        receipts.push(receipt)
      }
    }
    return { receipts, skipped }
  }

  /** Retries one letter with other content. What is parked behind it goes along. */
  async edit(
    id: string,
    edit: Edit,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
  ): Promise<RetryResult> {
    const letter = await this.show(id)
    const keyspace = await this.#keyspaceOf(letter.cache)
    const mutation = editedMutation(keyspace, letter.key, edit)
    const receipts = await this.#retryKey(letter, [letter], mutation, options)
    // It was retried or discarded meanwhile.
    if (!receipts.has(id)) await this.show(id)
    return { receipts: [...receipts.values()], skipped: [] }
  }

  /** Gives letters up for good. What is parked behind them stays, to be retried. Returns how many there were. */
  async discard(selection: DeadLetterSelection): Promise<number> {
    const chosen = await this.#select(selection)
    await this.#engine.deadLetters.settle(
      chosen.map((letter) => letter.id),
      'discarded',
    )
    return chosen.length
  }

  /** All letters that fit, by position. */
  export(filter: DeadLetterFilter = {}): AsyncGenerator<DeadLetter> {
    return this.#export(filter, undefined)
  }

  async *#export(filter: DeadLetterFilter, from: string | undefined): AsyncGenerator<DeadLetter> {
    let after = from
    for (;;) {
      const page = await this.#engine.deadLetters.list(filter, { after, limit: pageLetters })
      yield* page.letters
      if (page.next === undefined) return
      after = page.next
    }
  }

  async #select(selection: DeadLetterSelection): Promise<DeadLetter[]> {
    if (typeof selection === 'string') return [await this.show(selection)]
    if (isList(selection)) return Promise.all(selection.map((id) => this.show(id)))
    const letters: DeadLetter[] = []
    const { first = Infinity } = selection
    if (first < 1) return letters
    for await (const letter of this.export(selection.filter)) {
      letters.push(letter)
      if (letters.length >= first) break
    }
    return letters
  }

  /**
   * Retries the letter with all that belongs to it, in order and in one append, after everything of those keys that is
   * pending has been decided. A letter that has been settled meanwhile is left alone, with all of it.
   */
  async #retryKey(
    letter: DeadLetter,
    chosen: readonly DeadLetter[],
    replacement: Mutation | undefined,
    limits: {
      readonly force?: boolean
      readonly signal?: AbortSignal
      readonly timeoutMs?: number
    },
  ): Promise<Map<string, Receipt>> {
    const chosenIds = new Set(chosen.map((other) => other.id))
    const together = (): Promise<DeadLetter[]> =>
      this.#together(letter.id, chosenIds, limits.force === true)
    for (;;) {
      const places = placesOf(await together())
      const releases: (() => void)[] = []
      try {
        // In one order, so that two retries do not wait for each other.
        for (const place of [...places].sort()) {
          const [cache, key] = JSON.parse(place) as [string, string]
          releases.push(await (await this.#keyspaceOf(cache)).hold(key))
        }
        await this.#decided(letter.lane, limits)
        const letters = await together()
        // Something came to it before its keys were held.
        if (![...placesOf(letters)].every((place) => places.has(place))) continue
        const receipts = await this.#append(letter, letters, replacement)
        if (receipts !== undefined) return receipts
      } finally {
        for (const release of releases) release()
      }
    }
  }

  /** Writes on their way would be parked behind the letter after it has gone: let them be decided first. */
  async #decided(
    laneIndex: number,
    limits: { readonly signal?: AbortSignal; readonly timeoutMs?: number },
  ): Promise<void> {
    const { flusher, journal, options } = this.#engine
    if (journal.lastPosition > journal.durablePosition)
      await journal.whenDurable(journal.lastPosition)
    const lane = flusher.lanes[laneIndex]
    if (lane === undefined) return
    await flusher.whenApplied(laneIndex, lane.lastPosition, {
      timeoutMs: limits.timeoutMs ?? options.pressure.waitMs,
      signal: limits.signal,
    })
  }

  /** undefined where the database has gone back in time to before a letter: that is decided again first. */
  async #append(
    letter: DeadLetter,
    letters: readonly DeadLetter[],
    replacement: Mutation | undefined,
  ): Promise<Map<string, Receipt> | undefined> {
    if (letters.length === 0) return new Map()
    const entries: Entry[] = []
    for (const { id, cache, key, mutation } of letters) {
      const keyspace = await this.#keyspaceOf(cache)
      const again = id === letter.id ? (replacement ?? mutation) : mutation
      entries.push({
        ...keyspace.entry(key, again, keyspace.options.ttlMs),
        retryOf: id,
        continues: false,
      })
    }
    linkGroups(letters, entries)
    const { lanes } = this.#engine.flusher
    if (letters.some(({ lane, position }) => lanes[lane]?.passed(position) !== true))
      return undefined
    const commit = this.#engine.writer.append(entries)
    if (commit === undefined) {
      throw new DaybookError('OVERLOADED', 'There is no room in the journal for a retry now.', {
        details: { id: letter.id },
        hint: 'Try again when what is pending has gone down.',
      })
    }
    for (const entry of entries) {
      const keyspace = this.#engine.keyspaces.get(entry.cache)
      keyspace?.appended(entry, keyspace.options.ttlMs)
    }
    await commit.done
    return new Map(
      entries.map((entry, at) => [letters[at]?.id ?? '', receiptOf(entry, 'journal')] as const),
    )
  }

  /**
   * The letters that are retried with this one, in the order of their first writing: the other chosen ones of its key, all
   * that are parked behind it, the rest of their atomic groups, and so on for the keys of those. Without `force` not
   * those members that a newer value has superseded.
   */
  async #together(id: string, chosen: ReadonlySet<string>, force: boolean): Promise<DeadLetter[]> {
    const { deadLetters } = this.#engine
    const found = new Map<string, DeadLetter>()
    /** By key: what is parked behind this has been looked for. */
    const looked = new Map<string, Position>()
    const open = [id]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (found.has(next)) continue
      const letter = await deadLetters.get(next)
      if (letter === undefined) continue
      if (letter.superseded === true && next !== id && !force) continue
      found.set(next, letter)
      if (letter.group !== undefined) open.push(...(await this.#membersOf(letter.group, letter)))
      const place = placeOf(letter)
      const origin = letterOrigin(next)
      if (origin >= (looked.get(place) ?? Infinity)) continue
      looked.set(place, origin)
      for (const other of deadLetters.ofKey(letter.cache, letter.key)) {
        if (found.has(other)) continue
        const isBehind =
          letterOrigin(other) > origin && (await deadLetters.get(other))?.reason === 'parked'
        if (isBehind || chosen.has(other)) open.push(other)
      }
    }
    return [...found.values()].sort((a, b) => letterOrigin(a.id) - letterOrigin(b.id))
  }

  /** Ids of the group's members. They are adjacent in their lane. */
  async #membersOf(group: string, { lane }: DeadLetter): Promise<string[]> {
    const members: string[] = []
    const before = Number.parseInt(group.slice(group.indexOf('-') + 1), 10) - 1
    for await (const other of this.#export({}, `${lane}-${before}`)) {
      if (other.lane !== lane) continue
      if (other.group !== group) break
      members.push(other.id)
    }
    return members
  }
}

function placeOf(letter: DeadLetter): string {
  return JSON.stringify([letter.cache, letter.key])
}

function placesOf(letters: readonly DeadLetter[]): Set<string> {
  return new Set(letters.map(placeOf))
}

/** Members of a group that are retried together are applied together. */
function linkGroups(letters: readonly DeadLetter[], entries: Entry[]): void {
  for (let at = 0; at + 1 < entries.length; at++) {
    const entry = entries[at] as Entry
    const next = entries[at + 1] as Entry
    const group = letters[at]?.group
    entry.continues =
      group !== undefined && group === letters[at + 1]?.group && entry.lane === next.lane
  }
}

function editedMutation(keyspace: Keyspace, key: string, edit: Edit): Mutation {
  const { codec } = keyspace
  if ('set' in edit) return { kind: 'set', fields: codec.row(edit.set, key) }
  if ('merge' in edit) return { kind: 'patch', fields: codec.patch(edit.merge, key), amounts: {} }
  if ('increment' in edit)
    return { kind: 'patch', fields: {}, amounts: codec.amounts(edit.increment) }
  return { kind: 'delete' }
}

function isList(selection: DeadLetterSelection): selection is readonly string[] {
  return Array.isArray(selection)
}
