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
import type { Entry, Fields, Mutation } from '../mutation/mutation.ts'
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
    await keyspace.withCurrent(
      letter.key,
      (value) => {
        current = value
      },
      options.signal,
    )
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
  async *export(filter: DeadLetterFilter = {}): AsyncGenerator<DeadLetter> {
    let after: string | undefined
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
   * The letter, the other chosen ones of its key, its atomic group, and all that are parked behind them: in order, in one
   * append, after everything of the key that is pending has been decided.
   */
  async #retryKey(
    letter: DeadLetter,
    chosen: readonly DeadLetter[],
    replacement: Mutation | undefined,
    limits: { readonly signal?: AbortSignal; readonly timeoutMs?: number },
  ): Promise<Map<string, Receipt>> {
    const keyspace = await this.#keyspaceOf(letter.cache)
    const { flusher, writer, journal, deadLetters } = this.#engine
    return keyspace.exclusively(letter.key, async () => {
      // Writes that are on their way would be parked behind the letter after it has gone: let them be decided first.
      if (journal.lastPosition > journal.durablePosition)
        await journal.whenDurable(journal.lastPosition)
      const lane = flusher.lanes[letter.lane]
      if (lane !== undefined) {
        await flusher.whenApplied(letter.lane, lane.lastPosition, {
          timeoutMs: limits.timeoutMs ?? this.#engine.options.pressure.waitMs,
          signal: limits.signal,
        })
      }
      const chosenIds = new Set(chosen.map((other) => other.id))
      const letters: DeadLetter[] = []
      for (const id of new Set([letter.id, ...deadLetters.ofKey(letter.cache, letter.key)])) {
        const other = await deadLetters.get(id)
        if (other === undefined) continue
        const behind = other.reason === 'parked' && letterOrigin(id) > letterOrigin(letter.id)
        if (id === letter.id || behind || chosenIds.has(id)) letters.push(other)
      }
      letters.push(...(await this.#groupOf(letter, letters)))
      letters.sort((a, b) => letterOrigin(a.id) - letterOrigin(b.id))
      const entries: Entry[] = []
      for (const other of letters) {
        const space = other.cache === keyspace.name ? keyspace : await this.#keyspaceOf(other.cache)
        const mutation = other.id === letter.id ? (replacement ?? other.mutation) : other.mutation
        entries.push({
          ...space.entry(other.key, mutation, space.options.ttlMs),
          retryOf: other.id,
          continues: false,
        })
      }
      linkGroups(letters, entries)
      const commit = writer.append(entries)
      if (commit === undefined) {
        throw new DaybookError('OVERLOADED', 'There is no room in the journal for a retry now.', {
          details: { id: letter.id },
          hint: 'Try again when what is pending has gone down.',
        })
      }
      for (const entry of entries)
        this.#engine.keyspaces.get(entry.cache)?.appended(entry, undefined)
      await commit.done
      return new Map(
        entries.map((entry, at) => [letters[at]?.id ?? '', receiptOf(entry, 'journal')] as const),
      )
    })
  }

  /** The other members of the letter's atomic group. */
  async #groupOf(letter: DeadLetter, known: readonly DeadLetter[]): Promise<DeadLetter[]> {
    if (letter.group === undefined) return []
    const ids = new Set(known.map((other) => other.id))
    const members: DeadLetter[] = []
    for await (const other of this.export()) {
      if (other.group === letter.group && !ids.has(other.id)) members.push(other)
    }
    return members
  }
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
