/**
 * The journal on local files: `openFileJournal` gives a Journal whose appends are durable by fdatasync.
 */

import { join } from 'node:path'
import { DaybookError, isDaybookError, reasonOf } from '../base/errors.ts'
import { fileError } from '../base/file-error.ts'
import type { Lock } from '../base/files.ts'
import type { Ports } from '../base/ports.ts'
import type { Entry, Position } from '../mutation/mutation.ts'
import { decodeRecord, recordLane, recordLength, visitRecords } from '../mutation/record.ts'
import type { RecordVisitor } from '../mutation/record.ts'
import { damageError } from './damage.ts'
import { lastPositionOf, maxBatchBytes, maxLanes, pageBytes } from './format.ts'
import type { Commit, Journal, JournalListener, JournalState, JournalStats } from './journal.ts'
import { findChunkBytes, scanChunkBytes, SegmentWalker, type Batch } from './reader.ts'
import { recover, type CutTail, type Recovered } from './recovery.ts'
import { lockedError, lockName, type Segment } from './segment.ts'
import { diskFullError, isDiskFull, SegmentSupply, type SupplyOptions } from './segment-supply.ts'
import { Writer, type WriterOptions } from './writer.ts'

export interface FileJournalOptions {
  /** Holds the segments and the lock, and nothing else. Made where it is missing. */
  readonly directory: string
  /** Of a new journal, 1 to 65,535. An existing one keeps its own. */
  readonly lanes: number
  /** Size of a full-grown segment; the first ones are smaller. Default 64 MiB. */
  readonly segmentBytes?: number | undefined
  /** Most disk that the segments may take. At least two of them. Default 4 GiB. */
  readonly maxBytes?: number | undefined
  /** `trim` keeps at least this much of what is flushed. Default 256 MiB. */
  readonly retainBytes?: number | undefined
  /** What is gathered into one batch; a larger append gets one of its own. Default 1 MiB. */
  readonly batchBytes?: number | undefined
  readonly listener: JournalListener
}

export interface FileJournal extends Journal {
  readonly directory: string
  /** True where this open made the journal. */
  readonly created: boolean
  /** The unacknowledged tail that this open has cut. */
  readonly cut: CutTail | undefined
}

export const fileJournalDefaults = {
  segmentBytes: 64 << 20,
  maxBytes: 4 * 2 ** 30,
  retainBytes: 256 << 20,
  batchBytes: 1 << 20,
} as const

/**
 * Opens or creates the journal. Throws JOURNAL_LOCKED, JOURNAL_CORRUPT, JOURNAL_FOREIGN, JOURNAL_VERSION,
 * JOURNAL_FULL, DIRECTORY_UNUSABLE or INVALID_OPTION; then nothing that was acknowledged has been changed.
 */
export async function openFileJournal(
  options: FileJournalOptions,
  ports: Ports,
): Promise<FileJournal> {
  const { directory } = options
  checkOptions(options)
  let lock: Lock | undefined
  try {
    await ports.files.makeDirectory(directory)
    lock = await ports.files.lock(join(directory, lockName))
    if (lock === undefined) throw lockedError(directory)
    const recovered = await recover(ports.files, directory, ports.logger)
    return recovered === undefined
      ? await createJournal(options, lock, ports)
      : await continueJournal(options, recovered, lock, ports)
  } catch (error) {
    await lock?.release()
    throw openError(directory, error)
  }
}

async function createJournal(
  options: FileJournalOptions,
  lock: Lock,
  ports: Ports,
): Promise<FileJournal> {
  const journalId = ports.random.uuid()
  const epoch = 1
  const supply = new SegmentSupply(
    [],
    supplyOptions(options, journalId, options.lanes, epoch),
    ports,
  )
  const current = await supply.take(supply.claim(0), 1, undefined)
  const start = {
    current,
    offset: pageBytes,
    link: current.segment.header.link,
    lastPosition: 0,
    epoch,
    sealed: true,
  }
  const writer = new Writer(start, writerOptions(options, journalId), supply, ports)
  return new LocalJournal(options.directory, undefined, { lock, supply, writer, ports })
}

async function continueJournal(
  options: FileJournalOptions,
  recovered: Recovered,
  lock: Lock,
  ports: Ports,
): Promise<FileJournal> {
  const { segments, tail, last } = recovered
  const { journalId, lanes } = last.header
  const epoch = tail.epoch + 1
  const supply = new SegmentSupply(segments, supplyOptions(options, journalId, lanes, epoch), ports)
  const file = await ports.files.open(last.path, 'write')
  const start = {
    current: { segment: last, file },
    offset: tail.end,
    link: tail.link,
    lastPosition: tail.nextPosition - 1,
    epoch,
    sealed: tail.last === undefined || tail.last.kind === 'seal',
  }
  const writer = new Writer(start, writerOptions(options, journalId), supply, ports)
  try {
    // Makes the epoch durable, and shows from now on that the batch before it had been.
    await writer.seal()
  } catch (error) {
    // A full disk must not keep what is pending from the store: flushing it needs no disk, and frees some.
    if (!isDaybookError(error, 'JOURNAL_FULL')) {
      await Promise.allSettled([writer.close(), supply.close()])
      throw error
    }
  }
  return new LocalJournal(options.directory, recovered, { lock, supply, writer, ports })
}

interface Parts {
  readonly lock: Lock
  readonly supply: SegmentSupply
  readonly writer: Writer
  readonly ports: Ports
}

/** A segment as far as it is durable. */
interface ReadableSegment {
  readonly segment: Segment
  readonly end: number
  /** No record of it is beyond. */
  readonly lastPosition: Position
  /** The link of its last batch; undefined for the segment that is being written. */
  readonly lastLink: number | undefined
}

class LocalJournal implements FileJournal {
  readonly directory: string
  readonly id: string
  readonly lanes: number
  readonly epoch: number
  readonly created: boolean
  readonly cut: CutTail | undefined
  readonly #lock: Lock
  readonly #supply: SegmentSupply
  readonly #writer: Writer
  readonly #ports: Ports
  #closing: Promise<void> | undefined

  constructor(directory: string, recovered: Recovered | undefined, parts: Parts) {
    this.directory = directory
    this.created = recovered === undefined
    this.cut = recovered?.cut
    this.#lock = parts.lock
    this.#supply = parts.supply
    this.#writer = parts.writer
    this.#ports = parts.ports
    const { journalId, lanes } = this.#newest.header
    this.id = journalId
    this.lanes = lanes
    this.epoch = parts.writer.epoch
  }

  get durablePosition(): Position {
    return this.#writer.durablePosition
  }

  get lastPosition(): Position {
    return this.#writer.lastPosition
  }

  get oldestPosition(): Position {
    return this.#supply.segments[0]?.header.base ?? this.lastPosition + 1
  }

  get state(): JournalState {
    return this.#writer.state
  }

  get budgetUsedUp(): boolean {
    return this.#writer.budgetUsedUp
  }

  append(entries: readonly Entry[]): Commit {
    return this.#writer.append(entries)
  }

  whenDurable(position: Position): Promise<void> {
    return this.#writer.whenDurable(position)
  }

  async *read(lane: number, after: Position, to: Position): AsyncIterable<readonly Entry[]> {
    if (after + 1 < this.oldestPosition) throw gapError(after + 1, this.oldestPosition)
    for await (const batch of this.#batches(after + 1, to)) {
      const entries: Entry[] = []
      let position = batch.header.firstPosition
      for (let at = 0; at < batch.body.length; position++) {
        if (position > after && position <= to && recordLane(batch.body, at) === lane) {
          entries.push(this.#decode(batch, at, position))
        }
        at += recordLength(batch.body, at)
      }
      if (entries.length > 0) yield entries
    }
  }

  async find(positions: readonly Position[]): Promise<Entry[]> {
    const found = new Map<Position, Entry>()
    const wanted = [...new Set(positions)].sort((a, b) => a - b)
    for (let index = 0; index < wanted.length;) {
      index = await this.#findFrom(wanted, index, found)
    }
    return positions.map((position) => found.get(position) ?? this.#absent(position))
  }

  async scan(after: Position, visit: RecordVisitor): Promise<void> {
    const beyond: RecordVisitor = (position, lane, hash, bytes, retryOf) => {
      if (position > after) visit(position, lane, hash, bytes, retryOf)
    }
    for await (const { header, body } of this.#batches(after + 1, this.durablePosition)) {
      const visitor = header.firstPosition > after ? visit : beyond
      visitRecords(body, 0, body.length, header.firstPosition, visitor)
    }
  }

  trim(position: Position): Promise<void> {
    return this.#supply.trim(Math.min(position, this.durablePosition))
  }

  stats(): JournalStats {
    const latencies = this.#writer.latencies.sort()
    const quantile = (part: number): number =>
      latencies[Math.min(latencies.length - 1, Math.floor(part * latencies.length))] ?? 0
    return {
      state: this.state,
      budgetUsedUp: this.budgetUsedUp,
      segments: this.#supply.segments.length,
      bytes: this.#supply.bytes,
      undurableBytes: this.#writer.undurableBytes,
      commits: this.#writer.commits,
      syncMs: {
        p50: quantile(0.5),
        p99: quantile(0.99),
        max: quantile(1),
        sum: this.#writer.latencySum,
      },
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      await this.#writer.close()
    } finally {
      await this.#supply.close()
      await this.#lock.release()
    }
  }

  get #newest(): Segment {
    const newest = this.#supply.segments.at(-1)
    if (newest === undefined) throw new Error('a journal has a segment')
    return newest
  }

  /** Segments as far as they are durable now, from the one that has `from` on. */
  #readable(from: Position): ReadableSegment[] {
    const { segmentId, end } = this.#writer.durableEnd
    const readable: ReadableSegment[] = []
    for (const [index, segment] of this.#supply.segments.entries()) {
      const next = this.#supply.segments[index + 1]
      if (segment.header.segmentId === segmentId) {
        readable.push({ segment, end, lastPosition: this.durablePosition, lastLink: undefined })
        // A newer one, where there is one, is being made, and has nothing yet.
        break
      }
      if (next === undefined || next.header.base <= from) continue
      const { previous } = next.header
      if (previous !== undefined) {
        const lastPosition = next.header.base - 1
        readable.push({ segment, end: previous.end, lastPosition, lastLink: previous.link })
      }
    }
    return readable
  }

  /** The batches that have positions between `from` and `to`. */
  async *#batches(from: Position, to: Position): AsyncGenerator<Batch> {
    for (const readable of this.#readable(from)) {
      if (readable.segment.header.base > to) return
      const walker = await this.#walk(readable, from, scanChunkBytes)
      try {
        for (let batch; (batch = await walker.next()) !== undefined;) {
          if (batch.header.firstPosition > to) return
          if (batch.header.count > 0 && lastPositionOf(batch.header) >= from) yield batch
        }
        this.#checkEnd(walker, readable)
      } catch (error) {
        throw fileError(readable.segment.path, error)
      } finally {
        await walker.close()
      }
    }
  }

  /** Finds `wanted[index]` and what is wanted close behind it. Returns the index of what is still to be found. */
  async #findFrom(
    wanted: readonly Position[],
    index: number,
    found: Map<Position, Entry>,
  ): Promise<number> {
    const first = wanted[index] ?? 0
    const readable = this.#readable(first)[0]
    if (readable === undefined || first < readable.segment.header.base) return this.#absent(first)
    const { segment } = readable
    const chunkBytes = segment.index.empty ? scanChunkBytes : findChunkBytes
    const walker = await this.#walk(readable, first, chunkBytes)
    try {
      for (let batch; (batch = await walker.next()) !== undefined;) {
        const { header, body } = batch
        let position = header.firstPosition
        for (let at = 0; at < body.length; position++) {
          if (position === wanted[index]) {
            found.set(position, this.#decode(batch, at, position))
            index++
          }
          at += recordLength(body, at)
        }
        const next = wanted[index]
        if (next === undefined || segment.index.offsetOf(next) > walker.offset) return index
        if (next < position) return this.#absent(next)
      }
      this.#checkEnd(walker, readable)
      return found.has(first) ? index : this.#absent(first)
    } catch (error) {
      throw fileError(segment.path, error)
    } finally {
      await walker.close()
    }
  }

  async #walk(
    { segment, end, lastPosition }: ReadableSegment,
    from: Position,
    chunkBytes: number,
  ): Promise<SegmentWalker> {
    const range = { from: segment.index.offsetOf(from), end, chunkBytes, lastPosition }
    try {
      return await SegmentWalker.open(this.#ports.files, segment, range)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileError(segment.path, error)
      throw gapError(from, this.oldestPosition)
    }
  }

  #decode({ file, header, body }: Batch, at: number, position: Position): Entry {
    try {
      return decodeRecord(body, at, position)
    } catch (error) {
      const reason = `the record at position ${position} cannot be read: ${reasonOf(error)}`
      const { offset } = header
      throw damageError(this.directory, { kind: 'damaged', file, offset, reason })
    }
  }

  /** What had been durable must still be there to its end. */
  #checkEnd(walker: SegmentWalker, { segment, end, lastLink }: ReadableSegment): void {
    const intact =
      walker.stopped === undefined &&
      walker.offset === end &&
      (lastLink === undefined || walker.link === undefined || walker.link === lastLink)
    if (intact) return
    throw damageError(this.directory, {
      kind: 'damaged',
      file: segment.path,
      offset: walker.offset,
      reason: walker.problem ?? 'the batch is not as it was acknowledged',
    })
  }

  #absent(position: Position): never {
    throw gapError(position, this.oldestPosition)
  }
}

function gapError(position: Position, oldestPosition: Position): DaybookError {
  return new DaybookError('JOURNAL_GAP', `The journal no longer has position ${position}.`, {
    details: { position, oldestPosition },
  })
}

function openError(directory: string, error: unknown): DaybookError {
  if (error instanceof DaybookError) return error
  if (isDiskFull(error)) return diskFullError(directory, error)
  const { code } = error as NodeJS.ErrnoException
  const message = `The journal’s directory ${directory} cannot be used: ${reasonOf(error)}.`
  return new DaybookError('DIRECTORY_UNUSABLE', message, {
    cause: error,
    details: { directory, code },
    hint: 'Check that it is a directory on a healthy disk that this user may read and write.',
  })
}

function supplyOptions(
  options: FileJournalOptions,
  journalId: string,
  lanes: number,
  epoch: number,
): SupplyOptions {
  const { directory } = options
  const segmentBytes = options.segmentBytes ?? fileJournalDefaults.segmentBytes
  const maxBytes = options.maxBytes ?? fileJournalDefaults.maxBytes
  const retainBytes = options.retainBytes ?? fileJournalDefaults.retainBytes
  return { directory, journalId, lanes, epoch, segmentBytes, maxBytes, retainBytes }
}

function writerOptions(options: FileJournalOptions, journalId: string): WriterOptions {
  const { directory, listener } = options
  const batchBytes = options.batchBytes ?? fileJournalDefaults.batchBytes
  return { directory, journalId, listener, batchBytes }
}

function checkOptions(options: FileJournalOptions): void {
  const { segmentBytes, maxBytes, retainBytes } = supplyOptions(options, '', options.lanes, 0)
  const check = (path: string, value: number, holds: boolean, expected: string): void => {
    if (holds) return
    throw new DaybookError('INVALID_OPTION', `${path} is ${value}, but must be ${expected}.`, {
      details: { path, expected },
    })
  }
  const { lanes } = options
  const laned = Number.isInteger(lanes) && lanes >= 1 && lanes <= maxLanes
  check('lanes', lanes, laned, 'an integer from 1 to 65,535')
  const paged = segmentBytes >= 4 * pageBytes && segmentBytes % pageBytes === 0
  check('segmentBytes', segmentBytes, paged, 'a multiple of 4,096, and at least 16,384')
  check('maxBytes', maxBytes, maxBytes >= 2 * segmentBytes, 'at least twice segmentBytes')
  const bounded = retainBytes >= 0 && retainBytes <= maxBytes / 2
  check('retainBytes', retainBytes, bounded, 'from 0 to half of maxBytes')
  const { batchBytes } = writerOptions(options, '')
  const gathers = batchBytes >= pageBytes && batchBytes <= maxBatchBytes
  check('batchBytes', batchBytes, gathers, 'from 4,096 to 16 MiB')
}
