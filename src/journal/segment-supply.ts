/**
 * The segments on disk: prepares the next one while the current one is written, keeps within the disk budget, and lets
 * go of the oldest.
 *
 * The writer claims a segment when an entry is accepted that will need one, so that what was accepted never fails for
 * the budget afterwards.
 */

import { DaybookError } from '../base/errors.ts'
import type { File } from '../base/files.ts'
import type { Ports } from '../base/ports.ts'
import type { Position } from '../mutation/mutation.ts'
import { pageBytes, pagesFor, type PreviousSegment } from './format.ts'
import {
  discardSegment,
  prepareSegment,
  publishSegment,
  type PreparedSegment,
  type Segment,
} from './segment.ts'

/** The first segment of a journal; the next ones grow up to `segmentBytes`. */
export const firstSegmentBytes = 4 << 20
const growth = 4
/** After a preparation that failed, the next one in the background is not tried before. */
const retryMs = 1_000

export interface SupplyOptions {
  readonly directory: string
  readonly journalId: string
  readonly lanes: number
  readonly epoch: number
  readonly segmentBytes: number
  readonly maxBytes: number
  readonly retainBytes: number
}

export interface OpenSegment {
  readonly segment: Segment
  readonly file: File
}

/** The codes of a disk that takes no more, but does not fail otherwise. */
export function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'ERR_SHORT_WRITE'
}

export class SegmentSupply {
  readonly #ports: Ports
  readonly #options: SupplyOptions
  readonly #segments: Segment[]
  #prepared: PreparedSegment | undefined
  #preparing: Promise<void> | undefined
  #preparingBytes = 0
  #failure: { readonly error: unknown; readonly at: number } | undefined
  /** Claimed, not yet taken. */
  #claimed: number[] = []
  #closed = false
  #trimming: Promise<void> = Promise.resolve()

  constructor(segments: readonly Segment[], options: SupplyOptions, ports: Ports) {
    this.#segments = [...segments]
    this.#options = options
    this.#ports = ports
  }

  /** Oldest first; the last one is being written. */
  get segments(): readonly Segment[] {
    return this.#segments
  }

  /** Disk in use. */
  get bytes(): number {
    return this.#publishedBytes + (this.#prepared?.bytes ?? 0) + this.#preparingBytes
  }

  get #publishedBytes(): number {
    let bytes = 0
    for (const { header } of this.#segments) bytes += header.bytes
    return bytes
  }

  /**
   * Promises a segment with room for a batch of `needed` bytes. Returns its size. Throws JOURNAL_FULL where the budget
   * or the disk has no room for it; `details.reason` says which.
   */
  claim(needed: number): number {
    const bytes = Math.max(this.#nextBytes(), pagesFor(needed) + 2 * pageBytes)
    if (!this.#fits(bytes)) {
      throw new DaybookError('JOURNAL_FULL', 'The journal has reached its maxBytes.', {
        details: { reason: 'budget', bytes: this.bytes, maxBytes: this.#options.maxBytes },
        hint: 'It resumes when what is pending is in the store; give the journal a larger maxBytes to buffer more.',
      })
    }
    const waiting = this.#prepared !== undefined || this.#preparing !== undefined
    if (!waiting && this.#failure !== undefined && isDiskFull(this.#failure.error)) {
      throw diskFullError(this.#options.directory, this.#failure.error)
    }
    this.#claimed.push(bytes)
    return bytes
  }

  /** False where the budget has no room for another segment: nothing can be claimed before a trim. */
  get hasBudget(): boolean {
    return this.#fits(this.#nextBytes())
  }

  #fits(bytes: number): boolean {
    // Behind a lone segment there is always another one: a batch that is larger than usual must not end the journal.
    const lone = this.#segments.length + this.#claimed.length <= 1
    return lone || this.#publishedBytes + sum(this.#claimed) + bytes <= this.#options.maxBytes
  }

  /** Gives all claims back. */
  unclaim(): void {
    this.#claimed = []
  }

  /** Begins to prepare the next segment, where that is possible and not done yet. */
  prepareAhead(): void {
    if (this.#closed || this.#prepared !== undefined || this.#preparing !== undefined) return
    if (this.#failure !== undefined && this.#ports.clock.now() < this.#failure.at + retryMs) return
    const bytes = this.#nextBytes()
    if (this.#publishedBytes + sum(this.#claimed) + bytes > this.#options.maxBytes) return
    this.#prepare(bytes)
  }

  /** Looks for space: true where a next segment is there, or the budget does not ask for one. */
  async probe(): Promise<boolean> {
    this.#failure = undefined
    this.prepareAhead()
    await this.#preparing
    return this.#failure === undefined
  }

  /** A new segment of a size that was claimed becomes the last one. */
  async take(
    bytes: number,
    base: Position,
    previous: PreviousSegment | undefined,
  ): Promise<OpenSegment> {
    await this.#preparing
    let prepared = this.#prepared
    this.#prepared = undefined
    if (prepared !== undefined && prepared.bytes < bytes) {
      await discardSegment(this.#ports.files, prepared)
      prepared = undefined
    }
    prepared ??= await this.#make(bytes)
    const { journalId, lanes, epoch } = this.#options
    const ordinal = (this.#segments.at(-1)?.header.ordinal ?? 0) + 1
    const fields = { journalId, lanes, epoch, ordinal, base, previous }
    const opened = await this.#publish(prepared, fields)
    this.#segments.push(opened.segment)
    this.#claimed.shift()
    return opened
  }

  /** Removes whole segments at or below `position`, oldest first, and keeps what the retention asks for. */
  trim(position: Position): Promise<void> {
    const trimmed = this.#trimming.then(() => this.#trim(position))
    this.#trimming = trimmed.catch(() => undefined)
    return trimmed
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#preparing
    await this.#trimming
    if (this.#prepared !== undefined) await discardSegment(this.#ports.files, this.#prepared)
    this.#prepared = undefined
  }

  async #trim(position: Position): Promise<void> {
    const flushed = this.#segments.filter((_, index) => {
      const next = this.#segments[index + 1]
      return next !== undefined && next.header.base - 1 <= position
    })
    let kept = sum(flushed.map(({ header }) => header.bytes))
    for (const segment of flushed) {
      kept -= segment.header.bytes
      if (kept < this.#options.retainBytes) break
      await this.#ports.files.remove(segment.path)
      this.#segments.shift()
      // One by one: after a power cut of two removals the later one may be there alone, and leave a gap.
      await this.#ports.files.syncDirectory(this.#options.directory)
    }
  }

  #nextBytes(): number {
    const { segmentBytes } = this.#options
    const last = this.#claimed.at(-1) ?? this.#segments.at(-1)?.header.bytes
    const grown = last === undefined ? firstSegmentBytes : last * growth
    return Math.min(segmentBytes, Math.max(grown, Math.min(firstSegmentBytes, segmentBytes)))
  }

  #prepare(bytes: number): void {
    this.#preparingBytes = bytes
    this.#preparing = this.#make(bytes)
      .then(
        (prepared) => {
          this.#prepared = prepared
          this.#failure = undefined
        },
        (error: unknown) => {
          if (this.#closed) return
          this.#failure = { error, at: this.#ports.clock.now() }
          this.#ports.logger.warn(
            { error, bytes, directory: this.#options.directory },
            'the journal’s next segment could not be prepared',
          )
        },
      )
      .finally(() => {
        this.#preparing = undefined
        this.#preparingBytes = 0
      })
  }

  async #publish(
    prepared: PreparedSegment,
    fields: Parameters<typeof publishSegment>[3],
  ): Promise<OpenSegment> {
    const { files } = this.#ports
    const { directory } = this.#options
    let segment: Segment
    try {
      segment = await publishSegment(files, directory, prepared, fields)
    } catch (error) {
      await discardSegment(files, prepared)
      throw error
    }
    try {
      await files.syncDirectory(directory)
      // Opened again, so that errors speak of the name that it has now.
      await prepared.file.close()
      return { segment, file: await files.open(segment.path, 'write') }
    } catch (error) {
      // The name may be durable or not, so there must be no other segment in its place: not a full disk to wait out.
      throw new DaybookError('JOURNAL_FAILED', 'A new segment could not be made durable.', {
        cause: error,
        details: { file: segment.path },
      })
    }
  }

  #make(bytes: number): Promise<PreparedSegment> {
    const { files, random } = this.#ports
    const { directory } = this.#options
    return prepareSegment(files, directory, random.uuid(), bytes, () => this.#closed)
  }
}

export function diskFullError(directory: string, cause: unknown): DaybookError {
  return new DaybookError('JOURNAL_FULL', `The disk of ${directory} is full.`, {
    cause,
    details: { reason: 'disk', directory },
    hint: 'Free some space: writing resumes by itself.',
  })
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
