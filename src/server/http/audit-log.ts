/**
 * What was done through this server, by whom and with what outcome: a file in the directory, which survives restarts.
 *
 * An action is noted, durably, before it begins, and its outcome after it has ended: an entry without an outcome was cut off
 * by a crash. Keys may be in it, values never. File: a `LineLog` whose first line is
 * `{"daybook":"audit","version":1}`. Bounded: beyond `maxBytes` the older half of it goes.
 */

import type { Clock } from '../../base/clock.ts'
import { DaybookError, reasonOf } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Logger } from '../../base/log.ts'
import { isRecord } from '../../control/wire.ts'
import { LineLog } from '../../flush/line-log.ts'

export interface AuditEntry {
  /** Grows by one with each action. */
  readonly id: number
  /** Wall clock, ms. */
  readonly atMs: number
  /** Such as `POST /api/pause`. */
  readonly action: string
  readonly by: 'token' | 'session'
  /** Where the request came from. */
  readonly address: string
  readonly details: Readonly<Record<string, unknown>>
  /** `done`, or the code of the error; undefined while it is under way, or where a crash cut it off. */
  readonly outcome: string | undefined
}

const header = JSON.stringify({ daybook: 'audit', version: 1 })
const maxBytes = 1024 * 1024
const maxEntries = 1_000
/** Ids and filters are cut to this. */
const maxDetailsLength = 2_000

export class AuditLog {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #log: LineLog
  #turn: Promise<unknown> = Promise.resolve()
  #entries: AuditEntry[] = []
  #lastId = 0

  private constructor(log: LineLog, clock: Clock, logger: Logger, lines: readonly AuditLine[]) {
    this.#log = log
    this.#clock = clock
    this.#logger = logger
    for (const line of lines) this.#take(line)
  }

  /** Throws what a damaged file throws: what was done is not to be lost in silence either. */
  static async open(
    directory: string,
    parts: { readonly files: Files; readonly clock: Clock; readonly logger: Logger },
  ): Promise<AuditLog> {
    const path = `${directory}/audit.log`
    const lines: AuditLine[] = []
    const log = await LineLog.open(parts.files, path, header, (text, { offset }) => {
      const line: unknown = JSON.parse(text)
      if (offset > 0 && isAuditLine(line)) lines.push(line)
      else if (text !== header) {
        throw new DaybookError('JOURNAL_FOREIGN', `${path} is not an audit log of this version.`, {
          details: { file: path },
          hint: 'Move it away; a new one is begun.',
        })
      }
    })
    return new AuditLog(log, parts.clock, parts.logger, lines)
  }

  /** The newest first. */
  newest(limit: number): AuditEntry[] {
    return this.#entries.slice(-limit).reverse()
  }

  /**
   * Runs `work` between its two lines. Where they cannot be written, such as on a full disk, that is logged and `work` runs all
   * the same: it may be what mends it.
   */
  async around<T>(
    entry: Omit<AuditEntry, 'id' | 'atMs' | 'outcome'>,
    work: () => Promise<T>,
    codeOf: (error: unknown) => string,
  ): Promise<T> {
    const id = ++this.#lastId
    const details = shortened(entry.details)
    await this.#write({ id, atMs: this.#clock.wallTime(), ...entry, details })
    try {
      const result = await work()
      await this.#write({ id, outcome: 'done' })
      return result
    } catch (error) {
      await this.#write({ id, outcome: codeOf(error) })
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#log.close()
  }

  #write(line: AuditLine): Promise<void> {
    this.#take(line)
    const written = this.#turn.then(async () => {
      await this.#log.append(JSON.stringify(line))
      if (this.#log.bytes > maxBytes) await this.#log.replace(this.#kept())
    })
    this.#turn = written.catch((error: unknown) => {
      this.#logger.warn({ reason: reasonOf(error) }, 'the audit log could not be written')
    })
    return this.#turn.then(() => undefined)
  }

  #take(line: AuditLine): void {
    if (!('outcome' in line)) {
      this.#lastId = Math.max(this.#lastId, line.id)
      this.#entries.push({ ...line, outcome: undefined })
      if (this.#entries.length > maxEntries) this.#entries.shift()
      return
    }
    const at = this.#entries.findLastIndex(({ id }) => id === line.id)
    const entry = this.#entries[at]
    if (entry !== undefined) this.#entries[at] = { ...entry, outcome: line.outcome }
  }

  /** The newer half of the bytes that the file may have, at most. */
  *#kept(): Generator<string> {
    yield header
    let bytes = 0
    let first = this.#entries.length
    while (first > 0 && bytes < maxBytes / 2) {
      first--
      bytes += JSON.stringify(this.#entries[first]).length
    }
    this.#entries = this.#entries.slice(first)
    for (const { outcome, ...begun } of this.#entries) {
      yield JSON.stringify(begun)
      if (outcome !== undefined) yield JSON.stringify({ id: begun.id, outcome })
    }
  }
}

type AuditLine = Omit<AuditEntry, 'outcome'> | { readonly id: number; readonly outcome: string }

function isAuditLine(line: unknown): line is AuditLine {
  return (
    isRecord(line) &&
    Number.isSafeInteger(line.id) &&
    (typeof line.outcome === 'string' ||
      (typeof line.action === 'string' &&
        typeof line.atMs === 'number' &&
        typeof line.by === 'string' &&
        typeof line.address === 'string' &&
        isRecord(line.details)))
  )
}

function shortened(details: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const text = JSON.stringify(details)
  if (text.length <= maxDetailsLength) return details
  return { shortened: text.slice(0, maxDetailsLength) }
}
