/**
 * What a history has written and was told, and what must therefore be found after a crash. It knows the journal and the
 * dead letters from the bytes on the disk, by decoders that are not the engine's.
 */

import type { JournalRecord } from '../oracle/journal-image.ts'
import { batchesFrom, firstBatchOffset, segmentBase } from '../oracle/journal-image.ts'
import { applied } from '../oracle/fold.ts'
import { letterLinesFrom, lettersStart, type Letter } from '../oracle/letter-image.ts'
import { Violation } from '../oracle/violation.ts'
import { poison, rowText, type CacheName, type Row } from '../tables.ts'

export interface Intent {
  readonly mark: number
  readonly cache: CacheName
  readonly key: string
  /** Says which record of the journal is this one. */
  readonly identity: string
  /** Those of one atomic batch have the same. */
  readonly batch: number | undefined
}

type Told = 'acknowledged' | 'failed'

/** What the disk of now has. */
export interface DiskImage {
  readonly segments: readonly Uint8Array[]
  readonly letters: Uint8Array | undefined
}

/** What the database of now has. */
export interface DatabaseImage {
  rows(cache: CacheName): ReadonlyMap<string, Row>
  checkpoint(lane: number): number
}

export class Ledger {
  #intents: Intent[] = []
  #told = new Map<number, Told>()
  /** Every mutation that is in the journal or was trimmed from it, by position. */
  #records = new Map<number, JournalRecord>()
  /** Every dead letter that was ever durable. */
  #letters = new Map<string, Letter>()
  /** Letters that someone asked to discard. */
  #discarded = new Set<string>()

  copy(): Ledger {
    const copy = new Ledger()
    copy.#intents = [...this.#intents]
    copy.#told = new Map(this.#told)
    copy.#records = new Map(this.#records)
    copy.#letters = new Map(this.#letters)
    copy.#discarded = new Set(this.#discarded)
    return copy
  }

  get nextMark(): number {
    return this.#intents.length + 1
  }

  begin(intent: Omit<Intent, 'mark'>): number {
    const mark = this.nextMark
    this.#intents.push({ ...intent, mark })
    return mark
  }

  tell(mark: number, told: Told): void {
    this.#told.set(mark, told)
  }

  mayDiscard(id: string): void {
    this.#discarded.add(id)
  }

  letter(id: string): Letter | undefined {
    return this.#letters.get(id)
  }

  /** The mutation that the letter keeps, as the journal had it. */
  recordOf({ position }: Letter): JournalRecord | undefined {
    return this.#records.get(position)
  }

  /** These batches are durable now. */
  durable(records: Iterable<JournalRecord>): void {
    for (const record of records) this.#records.set(record.position, record)
  }

  lettersDurable(bytes: Uint8Array): Letter[] {
    const { letters, live } = lettersIn(bytes)
    for (const letter of letters) this.#letters.set(letter.id, letter)
    return live
  }

  /** A process has opened the journal: it shows what is true from now on. */
  recovered(disk: DiskImage, database: DatabaseImage): void {
    const image: JournalRecord[] = []
    let oldest = Infinity
    for (const bytes of disk.segments) {
      const base = segmentBase(bytes)
      if (base === undefined) throw new Violation('recovery succeeds', 'a segment has no header')
      oldest = Math.min(oldest, base)
      for (const batch of batchesFrom(bytes, firstBatchOffset)) image.push(...batch.records)
    }
    for (const record of this.#records.values()) {
      if (record.position >= oldest) this.#records.delete(record.position)
      else if (record.position > database.checkpoint(record.lane)) {
        throw new Violation(
          'the journal keeps what the database lacks',
          `position ${record.position} was trimmed, and lane ${record.lane} is at ${database.checkpoint(record.lane)}`,
        )
      }
    }
    this.durable(image)
    this.#compareWithIntents()
  }

  /** The rows that all mutations make which are not dead letters. */
  rows(): Map<string, Row> {
    const excluded = this.#excluded()
    const rows = new Map<string, Row>()
    for (const record of this.#ordered()) {
      if (excluded.has(record.position)) continue
      const place = placeOf(record)
      const row = applied(rows.get(place), record)
      if (row === undefined) rows.delete(place)
      else rows.set(place, row)
    }
    return rows
  }

  /** Keys of rows that no dead letter stands before. */
  readablePlaces(): Set<string> {
    const places = new Set(this.#intents.map(placeOf))
    for (const record of this.#records.values()) {
      if (isPoison(record)) places.delete(placeOf(record))
    }
    return places
  }

  /** Everything was flushed: the database has the rows, each mutation once, and the rest are dead letters. */
  drained(disk: DiskImage, database: DatabaseImage, caches: readonly CacheName[]): void {
    const { letters, live, settled } = lettersIn(disk.letters ?? new Uint8Array(0))
    for (const letter of letters) this.#letters.set(letter.id, letter)
    this.#compareWithIntents()
    this.#justify(live, settled)
    for (const record of this.#records.values()) {
      if (record.position <= database.checkpoint(record.lane)) continue
      throw new Violation(
        'everything drains after the faults',
        `position ${record.position} of lane ${record.lane} is not flushed: ${database.checkpoint(record.lane)}`,
      )
    }
    const expected = this.rows()
    for (const cache of caches) {
      for (const [key, row] of database.rows(cache)) {
        const place = `${cache}/${key}`
        mustEqual(place, row, expected.get(place), 'the database')
        expected.delete(place)
      }
    }
    for (const [place, row] of expected) mustEqual(place, undefined, row, 'the database')
  }

  #ordered(): JournalRecord[] {
    return [...this.#records.values()].sort((a, b) => a.position - b.position)
  }

  #compareWithIntents(): void {
    const byIdentity = new Map(this.#intents.map((intent) => [intent.identity, intent]))
    const found = new Map<number, number>()
    const newest = new Map<string, number>()
    for (const record of this.#ordered()) {
      const identity = identityOf(record)
      const intent = byIdentity.get(identity)
      const wrong = (what: string): never => {
        const message = `position ${record.position} has “${identity.slice(0, 80)}”, which ${what}`
        throw new Violation('the journal has only what was written', message)
      }
      if (intent === undefined) return wrong('nobody wrote')
      if (this.#told.get(intent.mark) === 'failed') wrong('had failed')
      if (found.has(intent.mark)) wrong(`is at ${found.get(intent.mark)} as well`)
      if ((newest.get(placeOf(record)) ?? 0) > intent.mark) wrong('comes too late')
      newest.set(placeOf(record), intent.mark)
      found.set(intent.mark, record.position)
    }
    for (const intent of this.#intents) {
      if (found.has(intent.mark)) continue
      if (this.#told.get(intent.mark) === 'acknowledged') {
        throw new Violation(
          'acknowledged writes are in the journal',
          `write ${intent.mark} (${intent.identity.slice(0, 80)}) was acknowledged, and is gone`,
        )
      }
      const others = this.#intents.filter(
        ({ batch, mark }) => batch !== undefined && batch === intent.batch && found.has(mark),
      )
      if (others.length === 0) continue
      throw new Violation(
        'a batch is whole or not there',
        `write ${intent.mark} is not in its batch`,
      )
    }
  }

  /** Positions of mutations that became dead letters instead of rows. */
  #excluded(): Set<number> {
    return new Set([...this.#letters.values()].map(({ position }) => position))
  }

  #justify(live: readonly Letter[], settled: ReadonlyMap<string, string>): void {
    const alive = new Set(live.map(({ id }) => id))
    const retried = new Set([...this.#records.values()].map(({ retryOf }) => retryOf))
    const refused = new Set<string>()
    const excluded = this.#excluded()
    for (const record of this.#ordered()) {
      const parks = record.kind === 'patch' && refused.has(placeOf(record))
      if (isPoison(record)) refused.add(placeOf(record))
      if (excluded.has(record.position) === (isPoison(record) || parks)) continue
      // Once the letter before it is settled, a patch is applied; which of both, its letter says.
      if (parks) continue
      throw new Violation(
        'dead letters are justified',
        `position ${record.position} is not as it should be`,
      )
    }
    for (const { id } of this.#letters.values()) {
      const outcome = settled.get(id)
      if (alive.has(id)) {
        if (!retried.has(id)) continue
        throw new Violation('dead letters are justified', `${id} was retried, and is a dead letter`)
      }
      if (outcome === 'discarded' && this.#discarded.has(id)) continue
      // What became of it is in no line any more once the file was compacted.
      if (retried.has(id) || (outcome === undefined && this.#discarded.has(id))) continue
      throw new Violation(
        'nothing is dropped in silence',
        `dead letter ${id} is gone: ${outcome ?? '?'}`,
      )
    }
  }
}

/** What a record says, as one text that no other write of the history has. */
export function identityOf(record: {
  readonly kind: JournalRecord['kind']
  readonly cache: string
  readonly key: string
  readonly fields: Row
  readonly amounts: Row
  readonly retryOf: string | undefined
}): string {
  const { kind, fields, amounts, retryOf } = record
  const retry = retryOf === undefined ? '' : ` again, for ${retryOf}`
  return `${kind} ${placeOf(record)} ${rowText(amounts)} ${rowText(fields)}${retry}`
}

export function mustEqual(
  place: string,
  found: Row | undefined,
  expected: Row | undefined,
  where: string,
): void {
  const [left, right] = [rowText(found), rowText(expected)]
  if (left === right) return
  throw new Violation(
    'the database is a prefix of the journal',
    `${where} has ${left.slice(0, 120)} at ${place}, and the journal makes it ${right.slice(0, 120)}`,
  )
}

function lettersIn(bytes: Uint8Array): {
  readonly letters: Letter[]
  readonly live: Letter[]
  readonly settled: Map<string, string>
} {
  const letters = new Map<string, Letter>()
  const live = new Map<string, Letter>()
  const settled = new Map<string, string>()
  for (const line of letterLinesFrom(bytes, lettersStart).lines) {
    for (const letter of line.letters ?? []) {
      letters.set(letter.id, letter)
      live.set(letter.id, letter)
    }
    for (const id of line.settled ?? []) {
      live.delete(id)
      settled.set(id, line.outcome ?? '?')
      // The database had not passed it: it is decided again.
      if (line.outcome === 'withdrawn') letters.delete(id)
    }
  }
  return { letters: [...letters.values()], live: [...live.values()], settled }
}

function isPoison({ fields: { name } }: JournalRecord): boolean {
  return typeof name === 'string' && name.startsWith(poison)
}

function placeOf({ cache, key }: { readonly cache: string; readonly key: string }): string {
  return `${cache}/${key}`
}
