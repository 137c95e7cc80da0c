/**
 * Goal: a directory that cannot be used is refused with an error that says why, and is left as it was.
 * Method: real directories: not writable, not a directory, with files of something else, damaged, and of a newer version.
 */

import { createHash } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { openDaybook, type Daybook } from '../../src/index.ts'
import { sqlite } from '../../src/store/sqlite/index.ts'
import { BookProcess } from './book-processes.ts'
import { Ledger } from './ledger.ts'
import { LedgerBook } from './ledger-book.ts'
import { sqliteFile, temporaryDirectory, type SqliteFile } from './ledger-database.ts'
import { mountsUnavailable, onReadOnlyDisk } from './small-disk.ts'

/** Every file's name and content. The lock is not the book's content. */
function contentOf(directory: string): Map<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()
  const files = names.filter((name) => !/(^|\/)lock$/.test(name))
  return new Map(
    files.map((name) => {
      const path = join(directory, name)
      if (statSync(path).isDirectory()) return [name, 'directory']
      return [name, createHash('sha256').update(readFileSync(path)).digest('hex')]
    }),
  )
}

function open(directory: string, database: SqliteFile): Promise<Daybook> {
  return openDaybook({
    directory,
    store: sqlite({ path: database.path }),
    lanes: 1,
    flush: { delayMs: 60_000 },
    journal: { segmentBytes: 64 << 10, maxBytes: 64 << 20, retainBytes: 1 << 20 },
    control: false,
  })
}

/** A closed book with several segments and nothing flushed. */
async function closedBook(directory: string, database: SqliteFile): Promise<Ledger> {
  const ledger = new Ledger()
  const book = await open(directory, database)
  await new LedgerBook(book).writeMany(0, 800, (operation, said) => ledger.say(operation, said))
  await book.close({ drainTimeoutMs: 0 })
  return ledger
}

function segmentsOf(directory: string): string[] {
  const journal = join(directory, 'journal')
  const names = readdirSync(journal).filter((name) => name.endsWith('.wal'))
  return names.sort().map((name) => join(journal, name))
}

/** Fails unless opening is refused with `code`, nothing has changed, and the message names what it should. */
async function expectRefusal(
  directory: string,
  database: SqliteFile,
  code: string,
  message: RegExp,
): Promise<void> {
  const before = contentOf(directory)
  await expect(open(directory, database)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message) as string,
  })
  expect(contentOf(directory)).toEqual(before)
}

function flipByte(path: string, offset: number): void {
  const bytes = readFileSync(path)
  bytes[offset] = (bytes[offset] ?? 0) ^ 0xff
  writeFileSync(path, bytes)
}

describe('a directory is refused, and nothing is changed:', () => {
  test('where its path leads through a file', async () => {
    const parent = temporaryDirectory()
    writeFileSync(join(parent, 'file'), 'not a directory')
    await expect(open(join(parent, 'file', 'book'), sqliteFile())).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
    })
    await expect(open(join(parent, 'file'), sqliteFile())).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
    })
    expect(readFileSync(join(parent, 'file'), 'utf8')).toBe('not a directory')
  })

  test.skipIf(mountsUnavailable !== undefined)(
    `where it is read-only (${mountsUnavailable ?? 'private mount'})`,
    async () => {
      const database = sqliteFile()
      const parent = temporaryDirectory()
      const used = join(parent, 'used')
      const empty = join(parent, 'empty')
      mkdirSync(empty)
      const ledger = await closedBook(used, database)
      for (const directory of [used, empty]) {
        const before = contentOf(directory)
        const options = { directory, url: database.url }
        const opening = BookProcess.open(options, ledger, onReadOnlyDisk(directory))
        await expect(opening).rejects.toMatchObject({ code: 'DIRECTORY_UNUSABLE' })
        expect(contentOf(directory)).toEqual(before)
      }
      await using book = await open(used, database)
      await book.flush()
      await ledger.compare(database.rows)
    },
  )

  test('where the journal’s place has files of something else', async () => {
    const directory = temporaryDirectory()
    mkdirSync(join(directory, 'journal'))
    writeFileSync(join(directory, 'journal', 'holiday.jpg'), 'a photograph')
    await expectRefusal(directory, sqliteFile(), 'JOURNAL_FOREIGN', /holiday\.jpg/)
  })

  test('where it has a segment of another journal', async () => {
    const [directory, other] = [temporaryDirectory(), temporaryDirectory()]
    const database = sqliteFile()
    await closedBook(directory, database)
    await closedBook(other, database)
    for (const path of segmentsOf(other).slice(1)) unlinkSync(path)
    cpSync(join(other, 'journal'), join(directory, 'journal'), { recursive: true })
    await expectRefusal(directory, database, 'JOURNAL_FOREIGN', /belongs to the journal/)
  })

  test.each([
    ['a flipped byte in a header', (path: string) => flipByte(path, 100)],
    [
      'a flipped byte in the last segment’s first batch',
      (_: string, last: string) => flipByte(last, 4096 + 200),
    ],
    ['a segment that was cut short', (path: string) => truncateSync(path, 40_000)],
    ['a missing segment', (path: string) => unlinkSync(path)],
  ] as const)('where there is %s', async (_, damage) => {
    const directory = temporaryDirectory()
    const database = sqliteFile()
    await closedBook(directory, database)
    const segments = segmentsOf(directory)
    expect(segments.length).toBeGreaterThan(2)
    damage(segments[1] ?? '', segments.at(-1) ?? '')
    await expectRefusal(
      directory,
      database,
      'JOURNAL_CORRUPT',
      /In .*\.wal at offset \d+: .*daybook journal verify/,
    )
  })

  test('where a newer version has written it', async () => {
    const directory = temporaryDirectory()
    const database = sqliteFile()
    await closedBook(directory, database)
    const path = segmentsOf(directory)[0] ?? ''
    const bytes = readFileSync(path)
    bytes.writeUInt32LE(1000, 8)
    bytes.writeUInt32LE(crc32(bytes.subarray(16, 4096), crc32(bytes.subarray(0, 12))), 12)
    writeFileSync(path, bytes)
    await expectRefusal(directory, database, 'JOURNAL_VERSION', /Use the version of Daybook/)
  })

  test.each(['dead-letters.log', 'caches.json'])('where %s is something else', async (name) => {
    const directory = temporaryDirectory()
    const database = sqliteFile()
    await closedBook(directory, database)
    writeFileSync(join(directory, name), 'something else altogether, with a line feed\n')
    const journal = contentOf(join(directory, 'journal'))
    await expect(open(directory, database)).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      message: expect.stringContaining(name) as string,
    })
    expect(readFileSync(join(directory, name), 'utf8')).toMatch(/^something else altogether/)
    expect([...contentOf(join(directory, 'journal')).keys()]).toEqual([...journal.keys()])
  })
})

test('damage in a segment that was flushed long ago does not keep a book from opening; in one that is needed, it stops there', async () => {
  const directory = temporaryDirectory()
  const database = sqliteFile()
  const ledger = await closedBook(directory, database)
  flipByte(segmentsOf(directory)[1] ?? '', 4096 + 200)
  // It is needed: nothing of what is pending is flushed past it.
  await expect(open(directory, database)).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' })
  flipByte(segmentsOf(directory)[1] ?? '', 4096 + 200)
  const book = await open(directory, database)
  await book.flush()
  await book.close()
  flipByte(segmentsOf(directory)[1] ?? '', 4096 + 200)
  await using next = await open(directory, database)
  await new LedgerBook(next).writeMany(5000, 20, (operation, said) => ledger.say(operation, said))
  await next.flush()
  await ledger.compare(database.rows)
})
