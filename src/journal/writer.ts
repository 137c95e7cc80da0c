/**
 * Group commit: entries are gathered into a batch while the batch before is being written and synced.
 *
 * Exactly one batch is in flight. Batch n+1 is not written before the sync of batch n has returned: this is what lets
 * recovery tell a torn tail from damage.
 *
 * A sync that fails makes the journal `failed` for good: whether its batch is durable is unknown, and asking again
 * would be answered wrongly. A full disk makes it `full`: what may have been written is erased, all that is not
 * durable is undone, and space is looked for until it returns.
 */

import { assert } from '../base/assert.ts'
import { DaybookError, reasonOf } from '../base/errors.ts'
import type { Timer } from '../base/clock.ts'
import type { Ports } from '../base/ports.ts'
import type { Entry, Position } from '../mutation/mutation.ts'
import {
  batchHeaderBytes,
  checksum,
  encodeBatchHeader,
  formatVersion,
  maxBatchBytes,
  pageBytes,
  pagesFor,
  type BatchHeader,
} from './format.ts'
import { BufferPool, Group } from './group.ts'
import type { Commit, JournalListener, JournalState } from './journal.ts'
import {
  diskFullError,
  isDiskFull,
  type OpenSegment,
  type SegmentSupply,
} from './segment-supply.ts'

/** What may be appended before it is durable. */
const maxUndurableBytes = 16 << 20
/** While the disk is idle, a batch of this size does not wait for the end of the burst that fills it. */
const earlyBytes = 64 << 10
/** Idle for so long, a seal is written: damage to the batch before it can then be told from a torn tail. */
const sealAfterMs = 50
const probeMs = { first: 100, last: 5_000 } as const
const latencySamples = 1_024

/** Where the next batch goes. */
export interface WriterStart {
  readonly current: OpenSegment
  readonly offset: number
  readonly link: number
  readonly lastPosition: Position
  readonly epoch: number
  readonly sealed: boolean
}

export interface WriterOptions {
  readonly directory: string
  readonly journalId: string
  readonly listener: JournalListener
  /** What is gathered into one batch. */
  readonly batchBytes: number
}

export class Writer {
  readonly #options: WriterOptions
  readonly #supply: SegmentSupply
  readonly #ports: Ports
  readonly #epoch: number
  readonly #buffers: BufferPool

  #state: JournalState = 'open'
  #failure: DaybookError | undefined
  #current: OpenSegment
  #offset: number
  #link: number
  #sealed: boolean
  #durablePosition: Position
  #lastPosition: Position
  /** Positions beyond the durable one and up to here, if nothing is undurable, were given out and undone. */
  #givenPosition: Position

  #inFlight: Group | undefined
  /** Gathered and complete, oldest first. */
  #waiting: Group[] = []
  #gathering: Group | undefined
  #submitting = false
  #undurableBytes = 0
  /** The budget had no room for a write since a segment was last claimed. */
  #refusedByBudget = false
  /** Room that the next group finds in the segment where the last planned one goes. */
  #plannedRoom: number

  #sealTimer: Timer | undefined
  #lastCommitAt = 0
  #probeTimer: Timer | undefined
  #probing: Promise<void> | undefined
  #commits = 0
  #latencySum = 0
  readonly #latencies = new Float64Array(latencySamples)

  /** Made once: a function that makes one allocates for it at each call, even where it does not come to that. */
  readonly #submit = (): void => {
    this.#submitting = false
    this.#pump()
  }

  constructor(start: WriterStart, options: WriterOptions, supply: SegmentSupply, ports: Ports) {
    this.#options = options
    this.#supply = supply
    this.#ports = ports
    this.#buffers = new BufferPool(options.batchBytes)
    this.#epoch = start.epoch
    this.#current = start.current
    this.#offset = start.offset
    this.#link = start.link
    this.#sealed = start.sealed
    this.#durablePosition = start.lastPosition
    this.#lastPosition = start.lastPosition
    this.#givenPosition = start.lastPosition
    this.#plannedRoom = this.#roomLeft()
  }

  get epoch(): number {
    return this.#epoch
  }

  get state(): JournalState {
    return this.#state
  }

  get durablePosition(): Position {
    return this.#durablePosition
  }

  get lastPosition(): Position {
    return this.#lastPosition
  }

  get undurableBytes(): number {
    return this.#undurableBytes
  }

  /** See `Journal.budgetUsedUp`. */
  get budgetUsedUp(): boolean {
    return (this.#refusedByBudget || this.#plannedRoom < pageBytes) && !this.#supply.hasBudget
  }

  get commits(): number {
    return this.#commits
  }

  /** The segment being written, and how far it is durable. */
  get durableEnd(): { readonly segmentId: string; readonly end: number } {
    return { segmentId: this.#current.segment.header.segmentId, end: this.#offset }
  }

  /** What the last commits' write and sync took, in ms, unsorted. */
  get latencies(): Float64Array {
    return this.#latencies.slice(0, Math.min(this.#commits, latencySamples))
  }

  /** Of all commits, in ms. */
  get latencySum(): number {
    return this.#latencySum
  }

  append(entries: readonly Entry[]): Commit {
    if (this.#state !== 'open') throw this.#refusal()
    if (this.#undurableBytes >= maxUndurableBytes) throw overloaded()
    assert(entries.length > 0, 'an append has entries')
    let group = this.#gathering ?? this.#gather(this.#options.batchBytes)
    let end = group.encode(entries)
    if (end < 0 || pagesFor(end) > group.room) {
      group = this.#groupFor(entries)
      end = group.encode(entries)
      if (pagesFor(end) > group.room) this.#claim(group, end)
    }
    let position = this.#givenPosition
    for (const entry of entries) {
      entry.position = ++position
      group.entries.push(entry)
    }
    this.#givenPosition = position
    this.#lastPosition = position
    this.#undurableBytes += end - group.end
    group.end = end
    this.#submitSoon(end)
    return group
  }

  async whenDurable(position: Position): Promise<void> {
    if (position <= this.#durablePosition) return
    for (const group of [this.#inFlight, ...this.#waiting, this.#gathering]) {
      if (group !== undefined && group.lastPosition >= position) return group.done
    }
    throw this.#state === 'open'
      ? new DaybookError('JOURNAL_FULL', `Position ${position} was undone.`)
      : this.#refusal()
  }

  /** Writes an empty batch, and resolves when it is durable. */
  seal(): Promise<void> {
    this.#complete()
    const group = new Group('seal', this.#buffers.take(), this.#plannedRoom)
    // It may take the page that is left for it.
    if (group.room + pageBytes < pagesFor(group.end)) this.#claim(group, group.end)
    this.#plan(group)
    this.#waiting.push(group)
    this.#pump()
    return group.done
  }

  /** Refuses further appends, makes what was appended durable, and seals. Throws where that fails. */
  async close(): Promise<void> {
    const wasOpen = this.#state === 'open'
    this.#state = 'closed'
    this.#probeTimer?.cancel()
    this.#sealTimer?.cancel()
    try {
      this.#complete()
      await (this.#waiting.at(-1) ?? this.#inFlight)?.done
      if (wasOpen && !this.#sealed) await this.seal()
    } finally {
      await this.#probing
      await this.#current.file.close()
    }
  }

  #refusal(): DaybookError {
    if (this.#failure !== undefined) return this.#failure
    return new DaybookError('CLOSED', 'The journal is closed.')
  }

  #gather(bytes: number): Group {
    const group = new Group('data', this.#buffers.take(bytes), this.#plannedRoom)
    this.#gathering = group
    return group
  }

  /** An empty group whose buffer has room for all of the entries. The one that is gathered is complete. */
  #groupFor(entries: readonly Entry[]): Group {
    this.#complete()
    let group = this.#gather(this.#options.batchBytes)
    for (let end = group.encode(entries); end < 0; end = group.encode(entries)) {
      this.#gathering = undefined
      if (group.buffer.length >= maxBatchBytes) throw tooLarge()
      const bytes = pagesFor(Math.max(-end, 2 * group.buffer.length))
      group = this.#gather(Math.min(bytes, maxBatchBytes))
    }
    return group
  }

  /** Lets nothing more into the group that is gathered. An empty one is dropped: its room is no longer right. */
  #complete(): void {
    const group = this.#gathering
    this.#gathering = undefined
    if (group === undefined) return
    if (group.entries.length === 0) return this.#buffers.giveBack(group.buffer)
    this.#plan(group)
    this.#waiting.push(group)
    this.#pump()
  }

  /** The group, up to `end`, will begin a new segment. Throws JOURNAL_FULL where there is none to be had. */
  #claim(group: Group, end: number): void {
    try {
      group.segmentBytes = this.#supply.claim(end)
    } catch (error) {
      if (error instanceof DaybookError && error.details.reason === 'disk') this.#becomeFull(error)
      else this.#refusedByBudget = true
      throw error
    }
    this.#refusedByBudget = false
    group.room = group.segmentBytes - 2 * pageBytes
  }

  /** The group's place is settled: what comes next finds the room behind it, which may be less than none. */
  #plan(group: Group): void {
    this.#plannedRoom = group.room - pagesFor(group.end)
  }

  /** Room for data: a page is always left for a seal. In a segment of an older version there is none. */
  #roomLeft(): number {
    const { bytes, version } = this.#current.segment.header
    return version < formatVersion ? 0 : bytes - this.#offset - pageBytes
  }

  #submitSoon(end: number): void {
    if (this.#inFlight !== undefined) return
    if (end >= earlyBytes) {
      this.#pump()
    } else if (!this.#submitting) {
      this.#submitting = true
      queueMicrotask(this.#submit)
    }
  }

  /** Puts the next group in flight, where none is. */
  #pump(): void {
    if (this.#inFlight !== undefined) return
    let group = this.#waiting.shift()
    if (group === undefined) {
      group = this.#gathering
      if (group === undefined || group.entries.length === 0) return
      this.#gathering = undefined
      this.#plan(group)
    }
    this.#inFlight = group
    void this.#write(group)
  }

  async #write(group: Group): Promise<void> {
    const startedAt = this.#ports.clock.now()
    let header: BatchHeader
    let wrote = false
    const bytes = pagesFor(group.end)
    try {
      if (group.segmentBytes > 0) await this.#rotate(group.segmentBytes)
      header = this.#finish(group)
      wrote = true
      await this.#current.file.writeDurably(group.buffer.subarray(0, bytes), this.#offset)
    } catch (error) {
      const syncFailed = (error as NodeJS.ErrnoException).syscall === 'fdatasync'
      if (isDiskFull(error) && !syncFailed) await this.#undo(error, wrote ? bytes : 0)
      else this.#fail(error)
      return
    }
    // Where the journal has failed meanwhile, the group was already told so.
    if (this.#inFlight === group) this.#committed(group, header, bytes, startedAt)
  }

  /** Header, checksums, and zeros up to the end of the page. */
  #finish(group: Group): BatchHeader {
    const { buffer, end, kind, entries } = group
    buffer.fill(0, end, pagesFor(end))
    return encodeBatchHeader(
      buffer,
      { journalId: this.#options.journalId, segmentId: this.#current.segment.header.segmentId },
      {
        offset: this.#offset,
        firstPosition: entries[0]?.position ?? this.#durablePosition + 1,
        epoch: this.#epoch,
        kind,
        count: entries.length,
        bodyBytes: end - batchHeaderBytes,
        bodyChecksum: checksum(buffer.subarray(batchHeaderBytes, end)),
        previousLink: this.#link,
      },
    )
  }

  async #rotate(bytes: number): Promise<void> {
    const { segment, file } = this.#current
    const previous = {
      segmentId: segment.header.segmentId,
      end: this.#offset,
      link: this.#link,
    }
    this.#current = await this.#supply.take(bytes, this.#durablePosition + 1, previous)
    this.#offset = pageBytes
    this.#link = this.#current.segment.header.link
    // Everything in it is durable: a failure to close loses a descriptor, and nothing else.
    await file.close().catch((error: unknown) => {
      this.#ports.logger.warn({ error, file: segment.path }, 'a full segment could not be closed')
    })
  }

  #committed(group: Group, header: BatchHeader, bytes: number, startedAt: number): void {
    const now = this.#ports.clock.now()
    this.#latencies[this.#commits++ % latencySamples] = now - startedAt
    this.#latencySum += now - startedAt
    this.#lastCommitAt = now
    this.#offset += bytes
    this.#link = header.link
    this.#sealed = group.kind === 'seal'
    this.#undurableBytes -= group.end - batchHeaderBytes
    this.#inFlight = undefined
    if (group.entries.length > 0) {
      this.#current.segment.index.add(header.firstPosition, header.offset)
      this.#durablePosition = group.lastPosition
    }
    // The disk works on the next batch while the listener works on this one.
    this.#pump()
    this.#buffers.giveBack(group.buffer)
    try {
      if (group.entries.length > 0) this.#options.listener.durable(group.entries)
    } catch (error) {
      this.#fail(error)
    }
    group.succeed()
    if (group.kind === 'data') this.#supply.prepareAhead()
    this.#sealWhenIdle()
  }

  #sealWhenIdle(): void {
    if (this.#sealed || this.#sealTimer !== undefined || this.#state !== 'open') return
    const wait = Math.max(0, this.#lastCommitAt + sealAfterMs - this.#ports.clock.now())
    this.#sealTimer = this.#ports.clock.setTimer(wait, () => {
      this.#sealTimer = undefined
      if (this.#state !== 'open' || this.#inFlight !== undefined) return
      if (this.#gathering !== undefined && this.#gathering.entries.length > 0) return
      if (this.#ports.clock.now() < this.#lastCommitAt + sealAfterMs) return this.#sealWhenIdle()
      if (!this.#sealed) void this.seal().catch(() => undefined)
    })
  }

  /** Nothing of what is not durable was or will be written. */
  async #undo(cause: unknown, writtenBytes: number): Promise<void> {
    const error = diskFullError(this.#options.directory, cause)
    this.#becomeFull(error)
    if (writtenBytes > 0) {
      try {
        await this.#current.file.zeroFill(this.#offset, writtenBytes)
        await this.#current.file.sync()
      } catch (eraseError) {
        this.#fail(eraseError)
        return
      }
    }
    const groups = this.#takeUndurable()
    this.#supply.unclaim()
    this.#plannedRoom = this.#roomLeft()
    this.#lastPosition = this.#durablePosition
    const entries = groups.flatMap((group) => group.entries)
    if (entries.length > 0) this.#options.listener.undone(entries, error)
    for (const group of groups) group.fail(error)
  }

  #fail(cause: unknown): void {
    if (this.#failure?.code === 'JOURNAL_FAILED') return
    this.#probeTimer?.cancel()
    this.#failure = new DaybookError(
      'JOURNAL_FAILED',
      `A write to the journal in ${this.#options.directory} failed: ${reasonOf(cause)}.`,
      {
        cause,
        details: { directory: this.#options.directory },
        hint: 'Check the disk, then restart: what was acknowledged is replayed, what was not may be there or not.',
      },
    )
    this.#become('failed')
    this.#ports.logger.error({ error: this.#failure }, 'the journal has failed')
    for (const group of this.#takeUndurable()) group.fail(this.#failure)
  }

  #takeUndurable(): Group[] {
    const groups = [this.#inFlight, ...this.#waiting, this.#gathering]
    this.#inFlight = undefined
    this.#waiting = []
    this.#gathering = undefined
    this.#undurableBytes = 0
    return groups.filter((group) => group !== undefined)
  }

  #become(state: JournalState): void {
    if (this.#state === state || this.#state === 'closed') return
    this.#state = state
    const failure = this.#failure
    queueMicrotask(() => this.#options.listener.changed?.(state, failure))
  }

  #becomeFull(error: DaybookError): void {
    if (this.#state === 'full') return
    this.#failure = error
    this.#become('full')
    this.#ports.logger.warn({ error }, 'the journal’s disk is full')
    this.#probeLater(probeMs.first)
  }

  #probeLater(delayMs: number): void {
    if (this.#state !== 'full') return
    this.#probeTimer = this.#ports.clock.setTimer(delayMs, () => {
      this.#probing = this.#probe(Math.min(2 * delayMs, probeMs.last))
    })
  }

  /** Looks whether there is space for the next batch and for the next segment. */
  async #probe(nextDelayMs: number): Promise<void> {
    if (this.#inFlight === undefined && (await this.#hasSpace()) && this.#state === 'full') {
      this.#failure = undefined
      this.#become('open')
      this.#ports.logger.info({ directory: this.#options.directory }, 'the journal has space again')
      return
    }
    this.#probeLater(nextDelayMs)
  }

  async #hasSpace(): Promise<boolean> {
    const { segment, file } = this.#current
    try {
      if (this.#offset + pageBytes <= segment.header.bytes) {
        await file.writeDurably(new Uint8Array(pageBytes), this.#offset)
      }
      return await this.#supply.probe()
    } catch (error) {
      if (isDiskFull(error) && (error as NodeJS.ErrnoException).syscall !== 'fdatasync')
        return false
      this.#fail(error)
      return false
    }
  }
}

function overloaded(): DaybookError {
  return new DaybookError('OVERLOADED', 'Too much is waiting for the journal’s disk.', {
    details: { maxUndurableBytes },
    hint: 'Wait for earlier writes before making more.',
  })
}

function tooLarge(): DaybookError {
  return new DaybookError(
    'VALUE_TOO_LARGE',
    'The entries do not fit in one batch of the journal.',
    {
      details: { maxBatchBytes },
      hint: 'Split the batch, or make the value smaller.',
    },
  )
}
