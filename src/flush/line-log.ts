/**
 * An append-only file of checked lines, for what must be durable and is seldom written.
 *
 *     line = checksum │ space │ length │ space │ text │ line feed
 *
 * The text has no line feeds. `length` is the number of its bytes in UTF-8, in decimal. `checksum` is the CRC-32 of
 * everything between itself and the line feed, as 8 hex digits, which begins with the checksum of the line before (0 for
 * the first one): a line is valid behind its predecessor only, so none can be missing, doubled or in another place.
 *
 * One append is one line, durable when it resolves. At open, a last line that a crash left half written was never
 * acknowledged and is cut. Any other damage refuses with JOURNAL_CORRUPT. A damaged line that runs to the end of the file
 * counts as half written if and only if
 *
 * 1. the file ends before the line's length says, and not in a line feed; or
 * 2. the file ends where the length says, and one of the 512-byte sectors that the line touches is all zeros from the
 *    line's start on: the disk had the file's new size and not yet all of its content; or
 * 3. the length is not there: the file ends before it, or the first of these sectors is all zeros.
 *
 * The first line is written before the file has its name, so it is never cut.
 */

import { crc32 } from 'node:zlib'

import { DaybookError, reasonOf } from '../base/errors.ts'
import { fileError } from '../base/file-error.ts'
import type { File, Files } from '../base/files.ts'

/** Where a line is, line feed included. */
export interface Line {
  readonly offset: number
  readonly bytes: number
  /** The checksum of the line before; 0 where it does not go into this one's. */
  readonly link: number
}

const lineFeed = 10
const checksumDigits = 8
/** Checksum, length, and their spaces, where the length has all the digits that a number can have. */
const maxPrefixBytes = checksumDigits + 18
const sectorBytes = 512
/** What is read or written at a time. */
const chunkBytes = 1024 * 1024

/** Calls are made one at a time, as on a File. */
export class LineLog {
  readonly #files: Files
  readonly #path: string
  #file: File
  #bytes = 0
  /** What the next line links to. */
  #link = 0
  /** False in a file of an older format, until it is replaced. */
  #chained = true
  /** A write failed before its sync: bytes that belong to nothing may follow the last line. */
  #hasRemains = false
  /** Set once it is unknown what is durable: nothing is written any more. */
  #failure: DaybookError | undefined

  private constructor(files: Files, path: string, file: File) {
    this.#files = files
    this.#path = path
    this.#file = file
  }

  /**
   * Opens the log, or creates it with `first` as its first line, and hands every line to `visit`, which may throw. A file
   * with another first line is taken for one of an older format, in which lines do not link to each other.
   * Throws JOURNAL_CORRUPT, JOURNAL_FAILED and DIRECTORY_UNUSABLE.
   */
  static async open(
    files: Files,
    path: string,
    first: string,
    visit: (text: string, line: Line) => void,
  ): Promise<LineLog> {
    try {
      return await LineLog.#open(files, path, first, visit)
    } catch (error) {
      throw fileError(path, error)
    }
  }

  static async #open(
    files: Files,
    path: string,
    first: string,
    visit: (text: string, line: Line) => void,
  ): Promise<LineLog> {
    await files.remove(temporary(path))
    if ((await files.size(path)) === undefined) {
      const { file } = await writeWhole(files, temporary(path), [first])
      await file.close()
      await files.rename(temporary(path), path)
      await files.syncDirectory(directoryOf(path))
    }
    const log = new LineLog(files, path, await files.open(path, 'write'))
    try {
      await log.#scan(first, visit)
      // Lines that a killed process had written may be in the system's memory only.
      await log.#sync()
    } catch (error) {
      await log.close()
      throw error
    }
    return log
  }

  /** Size of the file, as far as it has lines. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Durable when it resolves. Throws JOURNAL_FULL where the disk is full and nothing was written, so that it may be tried
   * again; JOURNAL_FAILED where the outcome is unknown, from then on for every call.
   */
  async append(text: string): Promise<Line> {
    if (this.#failure !== undefined) throw this.#failure
    const link = this.#chained ? this.#link : 0
    const { bytes, checksum } = encodeLine(text, link)
    try {
      if (this.#hasRemains) await this.#file.truncate(this.#bytes)
      this.#hasRemains = true
      await this.#file.writeDurably(bytes, this.#bytes)
      this.#hasRemains = false
    } catch (error) {
      throw this.#writeFailed(error)
    }
    const line = { offset: this.#bytes, bytes: bytes.length, link }
    this.#bytes += bytes.length
    this.#link = checksum
    return line
  }

  /** Throws JOURNAL_CORRUPT where the line is not what was written, and DIRECTORY_UNUSABLE. */
  async read(line: Line): Promise<string> {
    const bytes = await this.#file.read(line.offset, line.bytes).catch((error: unknown) => {
      throw fileError(this.#path, error)
    })
    const text = decodeLine(bytes.subarray(0, -1), line.link)
    if (text === undefined) throw corruptLine(this.#path, line.offset)
    return text
  }

  /**
   * Puts these lines in the place of all there are, at once: a crash leaves either the old ones or the new ones. Returns
   * where they are. When it throws, nothing has changed.
   */
  async replace(texts: Iterable<string> | AsyncIterable<string>): Promise<Line[]> {
    if (this.#failure !== undefined) throw this.#failure
    const path = temporary(this.#path)
    await this.#files.remove(path)
    const { file, lines, link } = await writeWhole(this.#files, path, texts)
    try {
      await this.#files.rename(path, this.#path)
    } catch (error) {
      await file.close()
      await this.#files.remove(path)
      throw error
    }
    const replaced = this.#file
    this.#file = file
    this.#bytes = lines.reduce((bytes, line) => bytes + line.bytes, 0)
    this.#link = link
    this.#chained = true
    this.#hasRemains = false
    try {
      await this.#files.syncDirectory(directoryOf(this.#path))
    } catch (error) {
      // After a crash the name may stand for the old file, which would lack whatever is appended now.
      this.#failure = this.#failed(error)
    }
    // Nothing in the replaced file is needed any more, so its close may fail.
    await replaced.close().catch(() => undefined)
    return lines
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  #writeFailed(error: unknown): DaybookError {
    if (isDiskFull(error)) {
      return new DaybookError('JOURNAL_FULL', `The disk of ${this.#path} is full.`, {
        cause: error,
        details: { file: this.#path },
        hint: 'Free some space.',
      })
    }
    this.#failure = this.#failed(error)
    return this.#failure
  }

  #failed(error: unknown): DaybookError {
    const message = `Writing ${this.#path} failed, and what is durable of it is unknown: ${reasonOf(error)}.`
    return new DaybookError('JOURNAL_FAILED', message, {
      cause: error,
      details: { file: this.#path },
      hint: 'Restart to find out.',
    })
  }

  async #sync(): Promise<void> {
    try {
      await this.#file.sync()
      await this.#files.syncDirectory(directoryOf(this.#path))
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** Visits every line, and cuts a half written last one. */
  async #scan(first: string, visit: (text: string, line: Line) => void): Promise<void> {
    let rest: Uint8Array = new Uint8Array(0)
    for (;;) {
      // A line longer than a chunk is read in steps that double.
      const offset = this.#bytes + rest.length
      const chunk = await this.#file.read(offset, Math.max(chunkBytes, rest.length))
      if (chunk.length === 0) break
      const bytes = Buffer.concat([rest, chunk])
      let start = 0
      let end = bytes.indexOf(lineFeed, rest.length)
      while (end !== -1) {
        const link = this.#chained ? this.#link : 0
        const line = { offset: this.#bytes, bytes: end + 1 - start, link }
        const text = decodeLine(bytes.subarray(start, end), link)
        if (text === undefined) {
          await this.#cut(bytes.subarray(start, end + 1), line)
          return
        }
        visit(text, line)
        if (line.offset === 0) this.#chained = text === first
        this.#bytes += line.bytes
        const digits = bytes.toString('latin1', start, start + checksumDigits)
        this.#link = Number.parseInt(digits, 16)
        start = end + 1
        end = bytes.indexOf(lineFeed, start)
      }
      rest = bytes.subarray(start)
    }
    if (rest.length > 0 || this.#bytes === 0) {
      await this.#cut(rest, { offset: this.#bytes, bytes: rest.length, link: this.#link })
    }
  }

  async #cut(bytes: Uint8Array, line: Line): Promise<void> {
    const isLast = (await this.#files.size(this.#path)) === line.offset + line.bytes
    if (line.offset === 0 || !isLast || !isHalfWritten(bytes, line.offset)) {
      throw corruptLine(this.#path, line.offset)
    }
    await this.#file.truncate(line.offset)
  }
}

/** Names the place and the way out. */
export function corruptLine(path: string, offset: number): DaybookError {
  return new DaybookError('JOURNAL_CORRUPT', `${path} is damaged at byte ${offset}.`, {
    details: { file: path, offset },
    hint: 'Restore the file, or move it away to go on without the dead letters in it.',
  })
}

function temporary(path: string): string {
  return `${path}.new`
}

function directoryOf(path: string): string {
  const end = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'))
  if (end === -1) return '.'
  return end === 0 ? path.slice(0, 1) : path.slice(0, end)
}

function encodeLine(text: string, link: number): { bytes: Buffer; checksum: number } {
  const checked = Buffer.from(` ${Buffer.byteLength(text)} ${text}`)
  const checksum = crc32(checked, link)
  const bytes = Buffer.concat([Buffer.from(digitsOf(checksum)), checked, Buffer.of(lineFeed)])
  return { bytes, checksum }
}

/** The text of a line without its line feed, or undefined where it is damaged. */
function decodeLine(bytes: Uint8Array, link: number): string | undefined {
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const checked = line.subarray(checksumDigits)
  const digits = digitsOf(crc32(checked, link))
  if (line.toString('latin1', 0, checksumDigits) !== digits) return undefined
  return checked.toString('utf8', checked.indexOf(' ', 1) + 1)
}

function digitsOf(checksum: number): string {
  return checksum.toString(16).padStart(checksumDigits, '0')
}

/** `bytes` run from the damaged line's start to the end of the file. */
function isHalfWritten(bytes: Uint8Array, offset: number): boolean {
  const start = Buffer.from(bytes.subarray(0, maxPrefixBytes)).toString('latin1')
  const prefix = /^[0-9a-f]{8} (\d+) /.exec(start)
  if (prefix === null) {
    const isStart = /^([0-9a-f]{0,8}|[0-9a-f]{8} \d*)$/.test(start)
    return (isStart && bytes.length < maxPrefixBytes) || isZero(bytes, 0, offset)
  }
  const length = prefix[0].length + Number(prefix[1]) + 1
  if (bytes.length < length) return bytes.at(-1) !== lineFeed
  return bytes.length === length && hasZeroSector(bytes, offset)
}

function hasZeroSector(bytes: Uint8Array, offset: number): boolean {
  for (let start = 0; start < bytes.length; start = sectorEnd(start, offset)) {
    if (isZero(bytes, start, offset)) return true
  }
  return false
}

/** Whether the line's part of the sector that `start` is in has nothing but zeros from there on. */
function isZero(bytes: Uint8Array, start: number, offset: number): boolean {
  return bytes.subarray(start, sectorEnd(start, offset)).every((byte) => byte === 0)
}

function sectorEnd(start: number, offset: number): number {
  return start + sectorBytes - ((offset + start) % sectorBytes)
}

/** A new, durable file of these lines; its name is not durable yet. Leaves none behind when it throws. */
async function writeWhole(
  files: Files,
  path: string,
  texts: Iterable<string> | AsyncIterable<string>,
): Promise<{ file: File; lines: Line[]; link: number }> {
  const file = await files.open(path, 'create')
  try {
    const lines: Line[] = []
    let gathered: Buffer[] = []
    let gatheredBytes = 0
    let written = 0
    let link = 0
    const write = async (): Promise<void> => {
      await file.write(Buffer.concat(gathered), written)
      written += gatheredBytes
      gathered = []
      gatheredBytes = 0
    }
    for await (const text of texts) {
      const { bytes, checksum } = encodeLine(text, link)
      lines.push({ offset: written + gatheredBytes, bytes: bytes.length, link })
      link = checksum
      gathered.push(bytes)
      gatheredBytes += bytes.length
      if (gatheredBytes >= chunkBytes) await write()
    }
    if (gatheredBytes > 0) await write()
    await file.sync()
    return { file, lines, link }
  } catch (error) {
    await file.close()
    await files.remove(path)
    throw error
  }
}

/** The disk was full before the sync. A full disk that only the sync reports has lost what was written. */
function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, syscall } = error as NodeJS.ErrnoException
  return (code === 'ENOSPC' || code === 'EDQUOT') && syscall !== 'fdatasync'
}
