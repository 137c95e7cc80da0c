/**
 * What must be true of a world, told from outside of the engine: from what clients were told, from the bytes on the disk
 * as they become durable, and from what the database commits. It shares no code with what it checks.
 *
 * The outcome of a write is open until the journal decides it. What clients were told narrows it: an acknowledged write
 * must be in the journal, one that failed must not be, and of one without an answer either is right.
 */

import { blanks, rowText, type CacheName, type Row } from '../tables.ts'
import { intentOf, type Operation, type WriteIntent } from '../workload.ts'
import { applied } from './fold.ts'
import { batchesFrom, firstBatchOffset, segmentBase, type Batch } from './journal-image.ts'
import type { JournalRecord } from './journal-image.ts'
import { letterLinesFrom, lettersStart, type Letter } from './letter-image.ts'
import { Violation, type Checker } from './violation.ts'

/** What the oracle asks of the world. */
export interface Witness {
  /** Paths of the journal's segments on the disk of now. */
  segments(): readonly string[]
  letterFile(): Uint8Array | undefined
  view(path: string): Uint8Array | undefined
  row(cache: CacheName, key: string): Row | undefined
  rows(cache: CacheName): ReadonlyMap<string, Row>
  checkpoint(lane: number): number
}

interface Write {
  readonly operation: number
  readonly intent: WriteIntent
  /** Reads the value first, so the journal has more than the intent says. */
  readonly computed: boolean
  /** Where it stands in the journal: again, where a dead letter of it was retried. */
  position: number | undefined
}

type Told = 'open' | 'acknowledged' | 'failed'

interface Client {
  readonly operation: Operation
  readonly writes: readonly Write[]
  told: Told
}

interface KeyHistory {
  /** Durable mutations of the key, in order. */
  readonly positions: number[]
  /** The newest one that was acknowledged, or shown to a reader. */
  known: number
  /** A delete that nobody asked for may be the end of a TTL. */
  expires: boolean
}

interface Model {
  readonly rows: Map<string, Row>
  readonly checkpoints: number[]
  /** Positions that became dead letters instead of rows, in the order of their decision. */
  readonly excluded: Map<number, { known: boolean }>
}

/** What a reader may be shown. */
export interface ReadWindow {
  readonly place: string
  readonly known: number
  /** Dead letters that the engine knew of when the read began. */
  readonly excluded: ReadonlySet<number>
  /** How often the database had gone back in time. */
  readonly goneBack: number
  /** Dead letters that the database had forgotten of when the read began. */
  readonly undecided: ReadonlySet<number>
}

export class Oracle {
  /** Newest position that is durable. */
  durable = 0
  readonly #witness: Witness
  readonly #lanes: number
  readonly #records = new Map<number, JournalRecord>()
  readonly #ofLane: number[][]
  readonly #keys = new Map<string, KeyHistory>()
  readonly #clients = new Map<number, Client>()
  readonly #letters = new Map<string, Letter>()
  /** Letters that someone wanted to give up, so that the way of each can be told. */
  readonly #discarded = new Set<string>()
  /** Where those stood that were given up, durably: they have no effect, whatever the database goes back to. */
  readonly #gone = new Set<number>()
  /** Those of them of whose commit the engine had not told by then: reads may be with or without them until it does. */
  readonly #goneEarly = new Set<number>()
  /** Dead letters that are decided again: a retry of one may have been on its way. */
  readonly #withdrawn = new Set<string>()
  /**
   * Dead letters that the database has forgotten of: a read may be with or without them until they are withdrawn, or where
   * they were settled before, until they are decided again.
   */
  readonly #undecided = new Set<number>()
  /** Where mutations stood that stand further on as retries of their dead letters: each has its effect once. */
  readonly #retried = new Set<number>()
  readonly #model: Model
  /** The furthest that each lane has ever been in the database. */
  readonly #reached: number[] = []
  readonly #ends = new Map<string, number>()
  #lettersEnd = lettersStart
  #maxEpoch = 0
  #goneBack = 0
  readonly #editable = new Set<number>()
  /** Commits that were checked. */
  commits = 0
  readsChecked = 0

  constructor(witness: Witness, lanes: number) {
    this.#witness = witness
    this.#lanes = lanes
    this.#ofLane = Array.from({ length: lanes }, () => [])
    this.#model = {
      rows: new Map(),
      checkpoints: new Array<number>(lanes).fill(0),
      excluded: new Map(),
    }
  }

  // ── What clients do, and are told ──

  begin(operation: Operation): void {
    this.#clients.set(operation.id, { operation, writes: writesOf(operation), told: 'open' })
  }

  /** At least durable in the journal: `positions` where the client got receipts. */
  acknowledged(id: number, positions: readonly number[] | undefined): void {
    const client = this.#client(id)
    client.told = 'acknowledged'
    for (const [at, write] of client.writes.entries()) {
      const position = positions?.[at] ?? write.position
      const record = position === undefined ? undefined : this.#records.get(position)
      if (position === undefined || record === undefined) {
        // A delete has no mark of its own: without a receipt it cannot be found.
        if (position === undefined && write.intent.kind === 'delete') continue
        throw new Violation(
          'acknowledged writes are in the journal',
          `operation ${id} was acknowledged at position ${position ?? '?'}, and is not durable there`,
        )
      }
      if (record.retryOf === undefined) this.#mustMatch(record, write)
      write.position = position
      const history = this.#history(placeOf(write.intent))
      history.known = Math.max(history.known, position)
    }
  }

  /** Nothing of it may ever be seen. */
  failed(id: number): void {
    const client = this.#client(id)
    client.told = 'failed'
    for (const write of client.writes) {
      if (write.position !== undefined) {
        throw new Violation(
          'a failed write has no effect',
          `operation ${id} failed, and stands in the journal at ${write.position}`,
        )
      }
    }
  }

  /** It ended without a write, as it should: none may ever be seen. */
  notWritten(id: number): void {
    this.failed(id)
  }

  /** Where the operation's write stands, if it has been seen in the journal. */
  positionOf(id: number): number | undefined {
    return this.#clients.get(id)?.writes[0]?.position
  }

  /** A dead letter's content was replaced by a value with this operation's mark. */
  edited(id: number): void {
    this.#editable.add(id)
  }

  discarded(letters: readonly string[]): void {
    for (const id of letters) this.#discarded.add(id)
  }

  // ── The journal ──

  /** A segment was synced: what is new in it is durable. */
  segmentSynced(path: string): void {
    const bytes = this.#witness.view(path)
    if (bytes === undefined || segmentBase(bytes) === undefined) return
    const from = this.#ends.get(path) ?? firstBatchOffset
    const batches = batchesFrom(bytes, from)
    for (const batch of batches) this.#accept(batch)
    this.#ends.set(path, batches.at(-1)?.end ?? from)
  }

  /**
   * The journal was opened anew: what is on the disk is the truth, and nothing that was durable may be missing. Where it
   * was damaged behind the engine's back, what the database has may be: nobody has looked at it.
   */
  reopened(damaged: boolean): void {
    const image = new Map<number, JournalRecord>()
    let oldest = Infinity
    this.#ends.clear()
    const batches: Batch[] = []
    for (const path of this.#witness.segments()) {
      const bytes = this.#witness.view(path)
      const base = bytes === undefined ? undefined : segmentBase(bytes)
      if (bytes === undefined || base === undefined) continue
      oldest = Math.min(oldest, base)
      const found = batchesFrom(bytes, firstBatchOffset)
      batches.push(...found)
      this.#ends.set(path, found.at(-1)?.end ?? firstBatchOffset)
      for (const { records } of found) {
        for (const record of records) image.set(record.position, record)
      }
    }
    for (const [position, record] of this.#records) {
      if (position < oldest) {
        this.#mayBeTrimmed(record)
        continue
      }
      const there = image.get(position)
      if (damaged && position <= this.#witness.checkpoint(record.lane)) continue
      if (there === undefined || textOf(there) !== textOf(record)) {
        throw new Violation(
          'acknowledged writes are in the journal',
          `position ${position} (${record.cache}/${record.key}) had been synced, and ${there === undefined ? 'is gone' : 'is another mutation'} after recovery`,
        )
      }
    }
    for (const batch of batches) this.#accept(batch)
    for (const [position, excluded] of this.#model.excluded) {
      excluded.known = true
      this.#undecided.delete(position)
    }
  }

  /** A segment was removed. */
  trimmed(oldestBase: number): void {
    for (const record of this.#records.values()) {
      if (record.position < oldestBase) this.#mayBeTrimmed(record)
    }
  }

  #mayBeTrimmed(record: JournalRecord): void {
    if (record.position <= this.#witness.checkpoint(record.lane)) return
    throw new Violation(
      'the journal keeps what the database lacks',
      `position ${record.position} of lane ${record.lane} left the journal, and the database stands at ${this.#witness.checkpoint(record.lane)}`,
    )
  }

  #accept(batch: Batch): void {
    const touched = new Set<Client>()
    for (const record of batch.records) {
      if (this.#records.has(record.position)) continue
      if (record.position <= this.durable) {
        throw new Violation(
          'acknowledged writes are in the journal',
          `position ${record.position} was written again, although ${this.durable} was durable`,
        )
      }
      this.durable = record.position
      const client = this.#recognise(record)
      if (client !== undefined) touched.add(client)
      this.#records.set(record.position, record)
      this.#ofLane[record.lane]?.push(record.position)
      const history = this.#history(placeOf(record))
      history.positions.push(record.position)
      history.expires ||= record.expires
    }
    for (const client of touched) this.#mustBeWhole(client, batch)
  }

  /** Finds out whose write it is. */
  #recognise(record: JournalRecord): Client | undefined {
    const intended = intentOf(record.fields['name']) ?? amountIn(record)
    if (record.retryOf !== undefined) {
      this.#mustBeRetry(record, intended?.id)
      this.#retried.add(positionIn(record.retryOf))
      return undefined
    }
    if (intended === undefined) {
      if (record.kind === 'delete') {
        this.#mustBeDeleted(record)
        return undefined
      }
      throw new Violation(
        'the journal has only what was written',
        `position ${record.position} has a mutation of ${placeOf(record)} without a mark: ${textOf(record)}`,
      )
    }
    const client = this.#clients.get(intended.id)
    const write = client?.writes[intended.at]
    if (client === undefined || write === undefined) {
      throw new Violation(
        'the journal has only what was written',
        `position ${record.position} has a mutation that nobody wrote`,
      )
    }
    if (client.told === 'failed') {
      throw new Violation(
        'a failed write has no effect',
        `operation ${intended.id} failed, and stands in the journal at ${record.position}`,
      )
    }
    if (write.position !== undefined) {
      throw new Violation(
        'the journal has only what was written',
        `operation ${intended.id} stands in the journal twice, at ${write.position} and ${record.position}`,
      )
    }
    this.#mustMatch(record, write)
    write.position = record.position
    return client
  }

  /** Deletes carry no mark: somebody must have asked for one of this key. */
  #mustBeDeleted(record: JournalRecord): void {
    if (this.#keys.get(placeOf(record))?.expires === true) return
    for (const { writes, told } of this.#clients.values()) {
      if (told === 'failed') continue
      const wanted = writes.some(
        ({ intent }) => intent.kind === 'delete' && placeOf(intent) === placeOf(record),
      )
      if (wanted) return
    }
    throw new Violation(
      'the journal has only what was written',
      `position ${record.position} deletes ${placeOf(record)}, which nobody asked for`,
    )
  }

  #mustBeRetry(record: JournalRecord, mark: number | undefined): void {
    const letter = this.#letters.get(record.retryOf as string)
    const origin = this.#records.get(originOf(record.retryOf as string))
    if (mark !== undefined && this.#editable.has(mark)) return
    const same =
      origin !== undefined &&
      placeOf(origin) === placeOf(record) &&
      // An edited letter that was refused again is retried as it was edited, and a patch of a session whose time is over
      // begins anew.
      (rowText(origin.fields) === rowText(record.fields) ||
        letter?.retryOf !== undefined ||
        isRenewed(record))
    // It may have been discarded, or withdrawn, while its retry was on the way to the disk.
    const id = record.retryOf as string
    const wasThere = letter !== undefined || this.#discarded.has(id) || this.#withdrawn.has(id)
    if (wasThere && same) return
    throw new Violation(
      'the journal has only what was written',
      `position ${record.position} retries ${record.retryOf}, which is ${letter === undefined ? 'no dead letter' : 'another mutation'}`,
    )
  }

  #mustMatch(record: JournalRecord, write: Write): void {
    const { intent } = write
    const wrong = (what: string): never => {
      throw new Violation(
        'the journal has only what was written',
        `position ${record.position} has operation ${write.operation} with ${what}: ${textOf(record)}`,
      )
    }
    if (placeOf(intent) !== placeOf(record)) wrong(`another key than ${placeOf(intent)}`)
    // A patch of a session whose time is over begins anew.
    const expired = isRenewed(record)
    if (write.computed) {
      if (record.fields['name'] !== intent.fields['name']) wrong('another value')
      return
    }
    switch (intent.kind) {
      case 'set':
        if (record.kind !== 'set') wrong('another kind')
        if (rowText(record.fields) !== rowText(intent.fields)) wrong('another value')
        break
      case 'merge': {
        if (record.kind !== 'patch' && !expired) wrong('another kind')
        const fields = expired ? { ...blanks[intent.cache], ...intent.fields } : intent.fields
        if (rowText(record.fields) !== rowText(fields)) wrong('other columns')
        break
      }
      case 'increment':
        if (record.kind !== 'patch' && !expired) wrong('another kind')
        if (!expired && Number(record.amounts['visits']) !== intent.by) wrong('another amount')
        break
      case 'delete':
        if (record.kind !== 'delete') wrong('another kind')
    }
  }

  #mustBeWhole({ operation, writes }: Client, batch: Batch): void {
    if (operation.kind !== 'batch') return
    const positions = new Set(batch.records.map((record) => record.position))
    for (const { intent, position } of writes) {
      if (intent.kind === 'delete' || (position !== undefined && positions.has(position))) continue
      throw new Violation(
        'a batch is whole or not there',
        `operation ${operation.id}: its write of ${placeOf(intent)} is not with the others`,
      )
    }
  }

  // ── The database ──

  claimed(epoch: number): void {
    this.#maxEpoch = Math.max(this.#maxEpoch, epoch)
  }

  /** The database has committed this, and may be compared. */
  committed(commit: {
    readonly lane: number
    readonly epoch: number
    readonly position: number
    readonly refused: readonly ReadonlySet<string>[]
  }): void {
    this.commits++
    const { lane, epoch, position } = commit
    if (epoch < this.#maxEpoch) {
      throw new Violation(
        'one effective writer',
        `epoch ${epoch} committed lane ${lane} after epoch ${this.#maxEpoch} had claimed it`,
      )
    }
    const before = this.#model.checkpoints[lane] ?? 0
    if (position < before || position > this.durable) {
      throw new Violation(
        position < before
          ? 'the database is a prefix of the journal'
          : 'only what is durable reaches the database',
        `lane ${lane} went from checkpoint ${before} to ${position}; ${this.durable} is durable`,
      )
    }
    const range = this.#range(lane, before, position)
    if (range.at(-1)?.continues === true) {
      throw new Violation(
        'a batch is whole or not there',
        `lane ${lane} came to ${position}, in the middle of an atomic batch`,
      )
    }
    const touched = new Set<string>()
    for (const [at, record] of range.entries()) {
      this.#undecided.delete(record.position)
      const letter = this.#letterAt(record)
      if (letter === undefined && this.#isMoved(record.position)) {
        // It had become a dead letter before the database went back, and stands further on as a retry, or was given up.
        this.#model.excluded.set(record.position, { known: true })
      } else if (letter === undefined) {
        this.#mustNotPark(record)
        this.#mustBeSettled(record)
        this.#write(record)
      } else {
        this.#mustBeJustified(letter, range, at, commit.refused)
        this.#model.excluded.set(record.position, { known: false })
      }
      touched.add(placeOf(record))
    }
    this.#model.checkpoints[lane] = position
    this.#reached[lane] = Math.max(this.#reached[lane] ?? 0, position)
    for (const place of touched) this.#compare(place, `after lane ${lane} came to ${position}`)
  }

  /** What `restore` brings back when the database goes back in time. */
  snapshot(): () => void {
    const rows = new Map(this.#model.rows)
    const checkpoints = [...this.#model.checkpoints]
    return () => {
      this.#goneBack++
      // It has forgotten who claimed it since. No stale process is alive in such a world.
      this.#maxEpoch = 0
      this.#model.rows.clear()
      for (const [place, row] of rows) this.#model.rows.set(place, row)
      this.#model.checkpoints.splice(0, this.#lanes, ...checkpoints)
      for (const position of [...this.#model.excluded.keys()]) {
        const lane = this.#records.get(position)?.lane ?? 0
        if (position <= (checkpoints[lane] ?? 0)) continue
        this.#model.excluded.delete(position)
        this.#undecided.add(position)
      }
    }
  }

  /** The engine has told of these dead letters: reads know of them. */
  buried(ids: readonly string[]): void {
    for (const id of ids) {
      const excluded = this.#model.excluded.get(positionIn(id))
      if (excluded === undefined) continue
      excluded.known = true
      this.#undecided.delete(positionIn(id))
    }
  }

  /** How far the lane has been in the database; it may have gone back since. */
  reached(lane: number): number {
    return this.#reached[lane] ?? 0
  }

  /** Lanes whose mutations up to `position` have not all been in the database. */
  lanesBehind(position: number): number[] {
    return this.#ofLane.flatMap((positions, lane) => {
      const last = positions.findLast((one) => one <= position) ?? 0
      return last > this.reached(lane) ? [lane] : []
    })
  }

  /** Whether the database has gone back in time, and has not been rolled forward yet. */
  get isInPast(): boolean {
    return this.#model.checkpoints.some((checkpoint, lane) => checkpoint < this.reached(lane))
  }

  keysOf(cache: CacheName): string[] {
    const places = [...this.#keys.keys()].filter((place) => place.startsWith(`${cache}/`))
    return places.map((place) => partsOf(place).key)
  }

  checkpoint(lane: number): number {
    return this.#model.checkpoints[lane] ?? 0
  }

  /** The lowest position that the database lacks, of any lane. */
  get lowestCheckpoint(): number {
    return Math.min(...this.#model.checkpoints)
  }

  isExcluded(position: number): boolean {
    return this.#model.excluded.has(position)
  }

  /** Everything durable is in the database or a dead letter, and there is nothing else in it. */
  drained(cacheNames: readonly CacheName[]): void {
    for (let lane = 0; lane < this.#lanes; lane++) {
      const last = this.#ofLane[lane]?.at(-1) ?? 0
      if (this.checkpoint(lane) >= last) continue
      throw new Violation(
        'everything drains after the faults',
        `lane ${lane} is at ${this.checkpoint(lane)} of ${last}`,
      )
    }
    for (const cache of cacheNames) {
      const places = new Set([...this.#witness.rows(cache).keys()].map((key) => `${cache}/${key}`))
      for (const place of this.#model.rows.keys()) {
        if (place.startsWith(`${cache}/`)) places.add(place)
      }
      for (const place of places) this.#compare(place, 'at the end')
    }
    for (const { operation, writes, told } of this.#clients.values()) {
      if (told !== 'acknowledged') continue
      for (const { position, intent } of writes) {
        if (position !== undefined || intent.kind === 'delete') continue
        throw new Violation(
          'nothing is dropped in silence',
          `operation ${operation.id} was acknowledged, and its write of ${placeOf(intent)} is nowhere`,
        )
      }
    }
  }

  #range(lane: number, after: number, to: number): JournalRecord[] {
    const positions = this.#ofLane[lane] ?? []
    return positions
      .filter((position) => position > after && position <= to)
      .map((position) => this.#records.get(position) as JournalRecord)
  }

  #write(record: JournalRecord): void {
    const place = placeOf(record)
    const row = applied(this.#model.rows.get(place), record)
    if (row === undefined) this.#model.rows.delete(place)
    else this.#model.rows.set(place, row)
  }

  #compare(place: string, when: string): void {
    const { cache, key } = partsOf(place)
    const found = rowText(this.#witness.row(cache, key))
    const expected = rowText(this.#model.rows.get(place))
    if (found === expected) return
    throw new Violation(
      'the database is a prefix of the journal',
      `${when} the database has ${found} at ${place}, and the journal makes it ${expected}`,
    )
  }

  // ── Dead letters ──

  /** The letters' file was synced; or opened anew, or replaced by a shorter one, so that all of it is to be read. */
  lettersSynced(wholly: boolean): void {
    const bytes = this.#witness.letterFile()
    if (bytes === undefined) return
    const before = new Map(wholly ? this.#letters : [])
    if (wholly) {
      this.#letters.clear()
      this.#lettersEnd = lettersStart
    }
    const { lines, end } = letterLinesFrom(bytes, this.#lettersEnd)
    this.#lettersEnd = end
    const outcomes = new Map<string, string | undefined>()
    for (const line of lines) {
      for (const letter of line.letters ?? []) {
        if (!this.#letters.has(letter.id)) this.#letters.set(letter.id, letter)
        outcomes.delete(letter.id)
      }
      for (const id of line.superseded ?? []) {
        const letter = this.#letters.get(id)
        if (letter !== undefined) this.#letters.set(id, { ...letter, superseded: true })
      }
      for (const id of line.settled ?? []) {
        const letter = this.#letters.get(id)
        if (!wholly && letter !== undefined) this.#maySettle(letter, line.outcome)
        if (line.outcome === 'withdrawn') this.#withdrawn.add(id)
        if (line.outcome === 'discarded') this.#giveUp(positionIn(id))
        if (letter !== undefined && line.outcome === 'withdrawn') {
          this.#undecided.delete(letter.position)
        }
        this.#letters.delete(id)
        outcomes.set(id, line.outcome)
      }
    }
    for (const [id, letter] of before) {
      if (!this.#letters.has(id)) this.#maySettle(letter, outcomes.get(id))
    }
  }

  get liveLetters(): readonly Letter[] {
    return [...this.#letters.values()]
  }

  #maySettle({ id, position, lane }: Letter, outcome: string | undefined): void {
    const isRetried = [...this.#records.values()].some(({ retryOf }) => retryOf === id)
    if (outcome === 'retried' && isRetried) return
    if (outcome === 'discarded' && this.#discarded.has(id)) return
    // Pending still, or again: what a power loss took of the file is decided once more.
    const isPending = position > this.#witness.checkpoint(lane)
    if ((outcome === 'withdrawn' || outcome === undefined) && isPending) return
    throw new Violation(
      'nothing is dropped in silence',
      `dead letter ${id} ${outcome === undefined ? 'is gone from its file' : `was settled as ${outcome}, which it was not`}`,
    )
  }

  #letterAt(record: JournalRecord): Letter | undefined {
    for (const id of idsOf(record)) {
      const letter = this.#letters.get(id)
      if (letter !== undefined) return letter
    }
    return undefined
  }

  /** The database refused just this unit, or the letter stands behind one of its key. */
  #mustBeJustified(
    letter: Letter,
    range: readonly JournalRecord[],
    at: number,
    refused: readonly ReadonlySet<string>[],
  ): void {
    if (letter.reason === 'parked') {
      const behind = letter.behind ?? ''
      // It may have been discarded since.
      if (this.#letters.has(behind) || this.#discarded.has(behind)) return
      throw new Violation(
        'dead letters are justified',
        `${letter.id} is parked behind ${behind}, which is no dead letter`,
      )
    }
    if (this.#isRefused(range, at, refused)) return
    throw new Violation(
      'dead letters are justified',
      `${letter.id} (${letter.cache}/${letter.key}) became a dead letter, and the database had not refused it`,
    )
  }

  /** Whether the database refused a write of just this record's unit, without what has moved of it. */
  #isRefused(
    range: readonly JournalRecord[],
    at: number,
    refused: readonly ReadonlySet<string>[],
  ): boolean {
    const members = unitAround(range, at).filter(({ position }) => !this.#retried.has(position))
    const unit = new Set(members.map(placeOf))
    // One that was given up before the commit may have been refused with the others, or have been left out already.
    const left = members.filter(({ position }) => !this.#gone.has(position)).map(placeOf)
    return refused.some(
      (keys) =>
        left.every((place) => keys.has(place)) && [...keys].every((place) => unit.has(place)),
    )
  }

  /** A merge or an increment does not pass an older dead letter of its key. */
  #mustNotPark(record: JournalRecord): void {
    if (record.kind !== 'patch') return
    const origin = record.retryOf === undefined ? record.position : originOf(record.retryOf)
    for (const letter of this.#letters.values()) {
      if (placeOf(letter) !== placeOf(record) || letter.superseded === true) continue
      if (originOf(letter.id) >= origin || letter.position > record.position) continue
      throw new Violation(
        'dead letters keep the order',
        `position ${record.position} (${placeOf(record)}) was applied although ${letter.id} stands before it`,
      )
    }
  }

  /** A letter whose retry is in the database is none any more: it could be retried again. */
  #mustBeSettled({ position, retryOf }: JournalRecord): void {
    if (retryOf === undefined || !this.#letters.has(retryOf)) return
    throw new Violation(
      'dead letters are settled once',
      `position ${position} was applied, and ${retryOf}, which it retries, is a dead letter still`,
    )
  }

  // ── Reads ──

  readBegins(cache: CacheName, key: string): ReadWindow {
    const place = `${cache}/${key}`
    const excluded = new Set<number>()
    for (const [position, { known }] of this.#model.excluded) if (known) excluded.add(position)
    const { known } = this.#history(place)
    const undecided = new Set(this.#undecided)
    return { place, known, excluded, goneBack: this.#goneBack, undecided }
  }

  /** The value must be one that the key had between what was known at the beginning and what is durable now. */
  readEnds(window: ReadWindow, value: Row | undefined, what: string, checker: Checker): void {
    this.readsChecked++
    const history = this.#history(window.place)
    const found = rowText(value)
    if (value === undefined && history.expires) return
    if (window.goneBack !== this.#goneBack) return
    for (const [text, position] of this.#states(window, history)) {
      if (text !== found) continue
      history.known = Math.max(history.known, position)
      return
    }
    const possible = [...new Set([...this.#states(window, history)].map(([text]) => text))]
    throw new Violation(
      checker,
      `${what} of ${window.place} gave ${found}; it could have been ${possible.join(' or ')}`,
    )
  }

  /** Whether the key had a value all the time since the window's beginning; undefined where it changed. */
  existence(window: ReadWindow): boolean | undefined {
    const history = this.#history(window.place)
    if (history.expires || window.goneBack !== this.#goneBack) return undefined
    const found = new Set([...this.#states(window, history)].map(([text]) => text !== 'none'))
    return found.size === 1 ? found.has(true) : undefined
  }

  /** The value just after the operation's own write. */
  mustBeResult(id: number, window: ReadWindow, value: Row | undefined): void {
    const position = this.positionOf(id)
    if (position === undefined) {
      throw new Violation(
        'acknowledged writes are in the journal',
        `operation ${id} was acknowledged, and is not durable`,
      )
    }
    const history = this.#history(window.place)
    if (history.expires || window.goneBack !== this.#goneBack) return
    const found = rowText(value)
    for (const [text, at] of this.#states(window, history)) {
      if (at === position && text === found) return
    }
    const possible = [...this.#states(window, history)].filter(([, at]) => at === position)
    throw new Violation(
      'results are exact',
      `operation ${id} on ${window.place} gave ${found}; it was ${possible.map(([text]) => text).join(' or ')}`,
    )
  }

  /**
   * The key's values from the newest known mutation on. What became a dead letter meanwhile may be in or out: from the
   * first that was decided to the last, in this order, for that is how the engine learns of them.
   */
  *#states(
    { excluded, known, undecided: earlier }: ReadWindow,
    { positions }: KeyHistory,
  ): Generator<readonly [text: string, position: number]> {
    const late = [...this.#model.excluded.keys()].filter(
      (position) => !excluded.has(position) && positions.includes(position),
    )
    const undecided = positions.filter((at) => earlier.has(at) || this.#undecided.has(at))
    for (const withUndecided of undecided.length > 0 ? [true, false] : [true]) {
      for (let decided = 0; decided <= late.length; decided++) {
        const out = new Set(late.slice(0, decided))
        let row: Row | undefined
        let isKnown = known === 0
        if (isKnown) yield ['none', 0]
        for (const position of positions) {
          const record = this.#records.get(position) as JournalRecord
          const isOpen = undecided.includes(position)
          const isOut =
            out.has(position) ||
            (this.#isMoved(position) && !(isOpen && this.#goneEarly.has(position))) ||
            (!withUndecided && isOpen) ||
            (excluded.has(position) && this.#model.excluded.has(position))
          if (!isOut) row = applied(row, record)
          isKnown ||= position >= known
          if (isKnown) yield [rowText(row), position]
        }
      }
    }
  }

  #giveUp(position: number): void {
    if (this.#gone.has(position)) return
    this.#gone.add(position)
    if (this.#model.excluded.get(position)?.known === true) return
    this.#goneEarly.add(position)
    this.#undecided.add(position)
  }

  /** Its mutation has no effect where it stands. */
  #isMoved(position: number): boolean {
    return this.#retried.has(position) || this.#gone.has(position)
  }

  #client(id: number): Client {
    const client = this.#clients.get(id)
    if (client === undefined) throw new Error(`operation ${id} has not begun`)
    return client
  }

  #history(place: string): KeyHistory {
    let history = this.#keys.get(place)
    if (history === undefined) {
      history = { positions: [], known: 0, expires: false }
      this.#keys.set(place, history)
    }
    return history
  }
}

function writesOf(operation: Operation): Write[] {
  const write = (intent: WriteIntent, computed: boolean): Write => ({
    operation: operation.id,
    intent,
    computed,
    position: undefined,
  })
  if (operation.kind === 'batch') return operation.writes.map((intent) => write(intent, false))
  return 'write' in operation ? [write(operation.write, operation.kind === 'update')] : []
}

/** Increments have the operation in their amount; one of a session whose time was over has become a set. */
function amountIn({
  kind,
  fields,
  amounts,
}: JournalRecord): { id: number; at: number } | undefined {
  const amount = kind === 'set' ? fields['visits'] : amounts['visits']
  if (amount === undefined) return undefined
  return { id: Number(amount) % 10_000, at: Math.floor(Number(amount) / 10_000) }
}

/** The adjacent records that are applied or refused together with the one at `at`. */
function unitAround(range: readonly JournalRecord[], at: number): JournalRecord[] {
  let first = at
  while (first > 0 && range[first - 1]?.continues === true) first--
  let last = at
  while (range[last]?.continues === true && last + 1 < range.length) last++
  return range.slice(first, last + 1)
}

export function placeOf({ cache, key }: { readonly cache: string; readonly key: string }): string {
  return `${cache}/${key}`
}

function partsOf(place: string): { cache: CacheName; key: string } {
  const slash = place.indexOf('/')
  return { cache: place.slice(0, slash) as CacheName, key: place.slice(slash + 1) }
}

function isRenewed({ cache, kind }: JournalRecord): boolean {
  return cache === 'sessions' && kind === 'set'
}

function textOf({ kind, cache, key, fields, amounts }: JournalRecord): string {
  return JSON.stringify([kind, cache, key, rowText(fields), rowText(amounts)])
}

/** What a dead letter of this record may be called. */
function idsOf({ lane, position, retryOf }: JournalRecord): string[] {
  const id = `${lane}-${position}`
  return retryOf === undefined ? [id] : [id, `${id}.${originOf(retryOf)}`]
}

function positionIn(id: string): number {
  return Number(/^\d+-(\d+)/.exec(id)?.[1])
}

/** Where a dead letter's mutation first stood: `3-240.120` is a retry of the one at 120. */
function originOf(id: string): number {
  return Number(/(\d+)$/.exec(id)?.[1])
}
