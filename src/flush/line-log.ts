/**
 * An append-only file of checked lines, for what must be durable and is seldom written.
 *
 *     line = checksum │ space │ length │ space │ text │ line feed
 *
 * The text has no line feeds. `length` is the number of its bytes in UTF-8, in decimal. `checksum` is the CRC-32 of
 * everything between itself and the line feed, as 8 hex digits, which begins with the checksum of the line before (0 for
 * the first one): a line is valid behind its predecessor only, so none can be missing, doubled or in another place.
 *
 * One append is one line, durable when it resolves. Behind the last line is a *seal*, which says that this line had become
 * durable; the next append is written over it:
 *
 *     seal = a line whose text is {"sealed":[offset of the seal,checksum of the last line]}
 *
 * At open, what follows the last valid line was never acknowledged and is cut, unless a seal or a valid line is found
 * further on: with one append in flight at a time that shows that the damaged line had been durable. Any such damage
 * refuses with JOURNAL_CORRUPT, and so does any damage to the first line, which is written before the file has its name.
 * A line without a seal may be missing on the disk although it can be read, as after a sync that failed: then the file is
 * written anew.
 *
 * What this cannot tell: damage to the last line before its seal has reached the disk, which nobody waits for, looks like an
 * append that was never acknowledged.
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
const maxSealBytes = 80
const sealPattern = /[0-9a-f]{8} \d+ \{"sealed":\[(\d+),(\d+)\]\}\n$/
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
      if (await log.#scan(first, visit)) await log.#sync()
      else await log.#renew()
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
    await this.#seal()
    return line
  }

  /** Throws JOURNAL_CORRUPT where the line is not what was written, and DIRECTORY_UNUSABLE. */
  async read(line: Line): Promise<string> {
    const bytes = await this.#file.read(line.offset, line.bytes).catch((error: unknown) => {
      throw fileError(this.#path, error)
    })
    const text = decodeLine(bytes, line.link)
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

  /** Without a sync: it is for the next open, and where there is none that open does more. */
  async #seal(): Promise<void> {
    try {
      await this.#file.write(encodeSeal(this.#bytes, this.#link), this.#bytes)
    } catch {
      // The line is durable all the same. The next append takes away what there is of it.
      this.#hasRemains = true
    }
  }

  /** Lines that a killed process had written may be in the system's memory only. */
  async #sync(): Promise<void> {
    try {
      await this.#file.sync()
      await this.#files.syncDirectory(directoryOf(this.#path))
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /**
   * Puts a durable file with the lines and a seal in the place of this one. On a full disk only cuts what is behind the
   * lines, for what is pending must get to the store all the same.
   */
  async #renew(): Promise<void> {
    const path = temporary(this.#path)
    try {
      const file = await this.#copy(path)
      await this.#files.rename(path, this.#path)
      const replaced = this.#file
      this.#file = file
      await replaced.close()
      await this.#files.syncDirectory(directoryOf(this.#path))
    } catch (error) {
      if (!isDiskFull(error)) throw this.#failed(error)
      await this.#files.remove(path)
      await this.#file.truncate(this.#bytes)
      await this.#sync()
    }
  }

  /** A new, durable file with the lines of this one and a seal. */
  async #copy(path: string): Promise<File> {
    const file = await this.#files.open(path, 'create')
    try {
      for (let offset = 0; offset < this.#bytes; offset += chunkBytes) {
        const length = Math.min(chunkBytes, this.#bytes - offset)
        await file.write(await this.#file.read(offset, length), offset)
      }
      await file.write(encodeSeal(this.#bytes, this.#link), this.#bytes)
      await file.sync()
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Visits every line. True where the last one is sealed, and nothing is behind that. */
  async #scan(first: string, visit: (text: string, line: Line) => void): Promise<boolean> {
    let isSealed = false
    /** Where the line at `#bytes` is damaged: what the piece that comes next may link to. */
    let links: number[] | undefined
    for await (const piece of this.#pieces()) {
      if (isSealed) return false
      const seal = decodeSeal(piece)
      if (links !== undefined) {
        const isValid = links.some((link) => decodeLine(piece, link) !== undefined)
        if (isValid || seal !== undefined) throw corruptLine(this.#path, this.#bytes)
        links = [this.#chained ? digitsIn(piece) : 0]
        continue
      }
      if (seal !== undefined) {
        isSealed = seal.start === 0 && seal.offset === this.#bytes && seal.link === this.#link
        if (!isSealed) throw corruptLine(this.#path, this.#bytes)
        continue
      }
      const link = this.#chained ? this.#link : 0
      const text = decodeLine(piece, link)
      if (text === undefined) {
        if (this.#bytes === 0) throw corruptLine(this.#path, 0)
        links = this.#chained ? [digitsIn(piece), checksumOf(piece, link)] : [0]
        continue
      }
      visit(text, { offset: this.#bytes, bytes: piece.length, link })
      if (this.#bytes === 0) this.#chained = text === first
      this.#bytes += piece.length
      this.#link = digitsIn(piece)
    }
    if (this.#bytes === 0) throw corruptLine(this.#path, 0)
    return isSealed
  }

  /** The file in pieces that end in a line feed, but for the last one. */
  async *#pieces(): AsyncGenerator<Buffer> {
    let rest = Buffer.alloc(0)
    for (let offset = 0; ;) {
      // A line longer than a chunk is read in steps that double.
      const chunk = await this.#file.read(offset, Math.max(chunkBytes, rest.length))
      if (chunk.length === 0) break
      offset += chunk.length
      const bytes = Buffer.concat([rest, chunk])
      let start = 0
      let end = bytes.indexOf(lineFeed, rest.length)
      while (end !== -1) {
        yield bytes.subarray(start, end + 1)
        start = end + 1
        end = bytes.indexOf(lineFeed, start)
      }
      rest = bytes.subarray(start)
    }
    if (rest.length > 0) yield rest
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

/** The text of a line, or undefined where it is damaged. */
function decodeLine(line: Uint8Array, link: number): string | undefined {
  if (line.at(-1) !== lineFeed) return undefined
  const bytes = Buffer.from(line.buffer, line.byteOffset, line.byteLength - 1)
  if (bytes.toString('latin1', 0, checksumDigits) !== digitsOf(checksumOf(line, link))) {
    return undefined
  }
  return bytes.toString('utf8', bytes.indexOf(' ', checksumDigits + 1) + 1)
}

/** What the checksum of a line should be. */
function checksumOf(line: Uint8Array, link: number): number {
  return crc32(line.subarray(checksumDigits, -1), link)
}

/** A seal holds what it links to, so it is valid by itself where the line before it is damaged. */
function encodeSeal(offset: number, link: number): Buffer {
  return encodeLine(`{"sealed":[${offset},${link}]}`, link).bytes
}

/** The seal at the end of a piece, with where it begins; undefined where there is none. */
function decodeSeal(piece: Buffer): { start: number; offset: number; link: number } | undefined {
  const found = sealPattern.exec(piece.toString('latin1', Math.max(0, piece.length - maxSealBytes)))
  if (found === null) return undefined
  const start = piece.length - found[0].length
  const [offset, link] = [Number(found[1]), Number(found[2])]
  const isWhole = link < 2 ** 32 && decodeLine(piece.subarray(start), link) !== undefined
  return isWhole ? { start, offset, link } : undefined
}

/** The checksum that the line says it has; 0 where it says none. */
function digitsIn(line: Buffer): number {
  const digits = line.toString('latin1', 0, checksumDigits)
  return /^[0-9a-f]{8}$/.test(digits) ? Number.parseInt(digits, 16) : 0
}

function digitsOf(checksum: number): string {
  return checksum.toString(16).padStart(checksumDigits, '0')
}

/** A new, durable file of these lines and a seal; its name is not durable yet. Leaves none behind when it throws. */
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
    gathered.push(encodeSeal(written + gatheredBytes, link))
    await write()
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
