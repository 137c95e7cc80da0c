/** Headers and records with right checksums that no journal has written: found by fuzzing, refused as damage. */

import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { batchHeaderBytes, pageBytes } from '../../src/journal/format.ts'
import { repairJournal } from '../../src/journal/repair.ts'
import { inspectJournal, verifyJournal } from '../../src/journal/verify.ts'
import type { MemoryFiles } from '../../src/testing/memory-files.ts'
import { directory, entryOf, JournalFixture, keysOf, write } from './journal-fixture.ts'

const u32 = 2 ** 32 - 1

/** A closed journal of two batches in one segment, or of one batch in each of two segments. */
async function closedJournal(segments: 1 | 2 = 1): Promise<[MemoryFiles, string]> {
  const fixture = new JournalFixture()
  const journal = await fixture.open({ segmentBytes: segments === 1 ? 64 << 10 : 16 << 10 })
  await write(journal, 'a', 'b')
  if (segments === 1) await write(journal, 'c')
  else await journal.append([entryOf('c', { bytes: 9_000 })]).done
  await journal.close()
  const names = await fixture.segments()
  expect(names).toHaveLength(segments)
  return [fixture.files.kill(), `${directory}/${names[0]}`]
}

function changed(files: MemoryFiles, path: string, change: (bytes: Buffer) => void): void {
  const bytes = Buffer.from(files.contentOf(path))
  change(bytes)
  files.place(path, bytes)
}

/** Writes a field of the segment's header, and its checksum. */
function forgeSegment(files: MemoryFiles, path: string, at: number, value: number): void {
  changed(files, path, (bytes) => {
    bytes.writeUInt32LE(value, at)
    const checksum = crc32(bytes.subarray(16, pageBytes), crc32(bytes.subarray(0, 12)))
    bytes.writeUInt32LE(checksum, 12)
  })
}

/** Changes header and body of the batch at a page, and writes both checksums. */
function forgeBatch(
  files: MemoryFiles,
  path: string,
  page: number,
  change: (header: Buffer, body: Buffer) => void,
): void {
  changed(files, path, (bytes) => {
    const header = bytes.subarray(page * pageBytes, page * pageBytes + batchHeaderBytes)
    const start = page * pageBytes + batchHeaderBytes
    const body = bytes.subarray(start, start + header.readUInt32LE(68))
    change(header, body)
    header.writeUInt32LE(crc32(body), 72)
    header.writeUInt32LE(crc32(header.subarray(8)), 4)
  })
}

/** By an open that reads everything, by verify and by inspect. */
async function expectRefused(files: MemoryFiles, offset: number, reason?: string): Promise<void> {
  const details = reason === undefined ? { offset } : { offset, reason }
  await expect(readAll(files)).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT', details })
  const { damage } = await verifyJournal(directory, files)
  expect(damage).toMatchObject({ kind: 'damaged', ...details })
  await expect(inspectJournal(directory, files)).resolves.toBeDefined()
}

async function readAll(files: MemoryFiles): Promise<void> {
  const journal = await new JournalFixture(files, 9).open()
  try {
    await keysOf(journal)
  } finally {
    await journal.close()
  }
}

describe('a segment header with right checksums is refused', () => {
  test.each([
    ['no lanes', 20, 0],
    ['more lanes than a record can name', 20, 65_536],
    ['an ordinal of 0', 56, 0],
    ['an ordinal that counting on would leave numbers behind', 60, u32],
    ['an epoch with none beyond it', 80, u32],
  ])('with %s', async (_name, at, value) => {
    const [files, path] = await closedJournal()
    forgeSegment(files, path, at, value)
    await expectRefused(files, 0, 'its header is damaged')
  })
})

describe('a batch with right checksums is refused', () => {
  const first = pageBytes

  test.each([
    ['an epoch with none beyond it', 56, u32],
    ['a position that numbers cannot count on from', 52, u32],
  ])('with %s', async (_name, at, value) => {
    const [files, path] = await closedJournal()
    forgeBatch(files, path, 1, (header) => header.writeUInt32LE(value, at))
    await expectRefused(
      files,
      first,
      'the batch has a position or an epoch that no journal reaches',
    )
  })

  test('with another count of records', async () => {
    const [files, path] = await closedJournal()
    forgeBatch(files, path, 1, (header) => header.writeUInt32LE(3, 64))
    await expectRefused(files, first, 'the batch has another count of records')
  })

  test('with a record of a lane that there is not', async () => {
    const [files, path] = await closedJournal()
    forgeBatch(files, path, 1, (_, body) => body.writeUInt16LE(4, 8))
    await expectRefused(files, first, 'the record at position 1 has a lane that does not exist')
  })

  test.each([
    ['a length of 0', 0],
    ['a length beyond the batch', u32],
  ])('with a record that has %s', async (_name, length) => {
    const [files, path] = await closedJournal()
    forgeBatch(files, path, 1, (_, body) => body.writeUInt32LE(length, 0))
    await expectRefused(files, first)
  })

  test('with a record that cannot be decoded: read and find say where it is', async () => {
    const [files, path] = await closedJournal()
    // The first record's payload begins with a brace.
    forgeBatch(files, path, 2, (_, body) =>
      body.fill('!', body.indexOf('{'), body.indexOf('{') + 1),
    )
    // Without the seal behind it, which links to what was there.
    changed(files, path, (bytes) => bytes.fill(0, 3 * pageBytes))
    const journal = await new JournalFixture(files, 9).open()
    const corrupt = { code: 'JOURNAL_CORRUPT', details: { file: path, offset: 2 * pageBytes } }
    await expect(journal.find([3])).rejects.toMatchObject(corrupt)
    await expect(keysOf(journal)).rejects.toMatchObject(corrupt)
    await journal.close()
  })

  test('with positions of the next segment, instead of being passed over', async () => {
    const [files, path] = await closedJournal(2)
    forgeBatch(files, path, 1, (header) => header.writeUInt32LE(1_000, 48))
    // What links to it is another matter: it is the last one of its segment.
    changed(files, path, (bytes) => bytes.fill(0, 2 * pageBytes))
    await expectRefused(files, first, 'the batch is of a later segment')
  })
})

describe('verify and repair', () => {
  test('say the offset of the batch whose record is wrong, so that a repair cuts it away', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await journal.append([{ ...entryOf('a'), hash: 1 }]).done
    await journal.close()
    const { damage } = await verifyJournal(directory, fixture.files)
    expect(damage).toMatchObject({ offset: pageBytes })
    await repairJournal(directory, fixture.files, { acceptLossFrom: 1 })
    expect((await verifyJournal(directory, fixture.files)).damage).toBeUndefined()
  })

  test('leave two journals in one directory to the user, whichever is whole', async () => {
    const [files, path] = await closedJournal()
    const other = new JournalFixture(undefined, 2)
    await (await other.open()).close()
    const [name] = await other.segments()
    files.place(`${directory}/${name}`, other.files.contentOf(`${directory}/${name}`))
    // With this, listing the segments ends before it comes to the second journal.
    files.place(`${path.slice(0, -'.wal'.length)}0.wal`, files.contentOf(path))
    const names = await files.list(directory)
    for (const acceptLossFrom of [undefined, 1, 4]) {
      await expect(repairJournal(directory, files, { acceptLossFrom })).rejects.toMatchObject({
        code: expect.stringMatching(/JOURNAL_FOREIGN|JOURNAL_CORRUPT/) as string,
      })
    }
    expect((await files.list(directory)).sort()).toEqual([...new Set([...names, 'lock'])].sort())
  })
})

describe('a segment that does not belong where it is, with right checksums, is refused', () => {
  async function second(): Promise<[MemoryFiles, string, Buffer]> {
    const [files] = await closedJournal(2)
    const names = (await files.list(directory)).filter((name) => name.endsWith('.wal')).sort()
    const path = `${directory}/${names[1]}`
    return [files, path, Buffer.from(files.contentOf(path))]
  }

  test('a second one with the same number', async () => {
    const [files, path, bytes] = await second()
    // Another segment id, in the header and in the name.
    bytes.fill(0x11, 40, 56)
    const twin = `${path.slice(0, -'.wal'.length - 32)}${'11'.repeat(16)}.wal`
    files.place(twin, bytes)
    forgeSegment(files, twin, 56, 2)
    await expect(new JournalFixture(files).open()).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      details: { offset: 0, reason: 'it is a second segment number 2' },
    })
  })

  test.each([
    ['another predecessor', 96, 7],
    ['other lanes', 20, 2],
    ['an end of its predecessor beyond that one', 88, u32],
  ])('one that names %s', async (_name, at, value) => {
    const [files, path] = await second()
    forgeSegment(files, path, at, value)
    await expect(new JournalFixture(files).open()).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      details: {
        file: path,
        offset: 0,
        reason: expect.stringContaining('it does not follow') as string,
      },
    })
  })

  test('a batch whose body would end beyond its segment is torn, and never read', async () => {
    const [files, path] = await closedJournal()
    changed(files, path, (bytes) => bytes.fill(0, 3 * pageBytes))
    changed(files, path, (bytes) => {
      const header = bytes.subarray(2 * pageBytes, 2 * pageBytes + batchHeaderBytes)
      header.writeUInt32LE(1 << 19, 68)
      header.writeUInt32LE(crc32(header.subarray(8)), 4)
    })
    files.plan = ({ kind, length = 0 }) => {
      expect(kind === 'read' && length > 1 << 20).toBe(false)
      return undefined
    }
    const journal = await new JournalFixture(files).open()
    expect([...(await keysOf(journal)).values()]).toEqual(['a', 'b'])
    expect(journal.cut).toMatchObject({ offset: 2 * pageBytes })
    await journal.close()
  })
})
