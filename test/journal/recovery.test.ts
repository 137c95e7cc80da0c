import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { isDaybookError } from '../../src/base/errors.ts'
import {
  decodeSegmentHeader,
  encodeBatchHeader,
  encodeSegmentHeader,
  formatVersion,
  type SegmentHeader,
  pageBytes,
} from '../../src/journal/format.ts'
import { repairJournal } from '../../src/journal/repair.ts'
import type { Position } from '../../src/mutation/mutation.ts'
import { keepsEverything, randomFates } from '../../src/testing/memory-crash-fates.ts'
import type { MemoryFiles } from '../../src/testing/memory-files.ts'
import {
  directory,
  entryOf,
  JournalFixture,
  keysOf,
  seededRandom,
  write,
} from './journal-fixture.ts'

type Keys = Map<Position, string>

const pathOf = (name: string | undefined): string => `${directory}/${name}`

/** A closed journal of a few small batches, as files, and what is in it. */
async function smallJournal(options: { close: boolean }): Promise<[MemoryFiles, Keys, string]> {
  const fixture = new JournalFixture()
  const journal = await fixture.open({ segmentBytes: 24 << 10 })
  await write(journal, 'a', 'b')
  await write(journal, 'c')
  await write(journal, 'd', 'e')
  const keys = await keysOf(journal)
  if (options.close) await journal.close()
  const [name] = await fixture.segments()
  return [fixture.files.kill(), keys, pathOf(name)]
}

/** What opening these files gives: its content, or the code of the refusal. */
async function outcomeOf(
  files: MemoryFiles,
): Promise<{ keys?: Keys; code?: string; cut: boolean }> {
  const fixture = new JournalFixture(files, 99)
  try {
    const journal = await fixture.open({ segmentBytes: 24 << 10 })
    const keys = await keysOf(journal)
    await journal.close()
    return { keys, cut: journal.cut !== undefined }
  } catch (error) {
    if (!isDaybookError(error)) throw error
    return { code: error.code, cut: false }
  }
}

const refusals = ['JOURNAL_CORRUPT', 'JOURNAL_FOREIGN', 'JOURNAL_VERSION']

function isPrefix(keys: Keys, whole: Keys, atLeast: number): boolean {
  const expected = [...whole].slice(0, keys.size)
  return keys.size >= atLeast && JSON.stringify([...keys]) === JSON.stringify(expected)
}

/** With the checksum that it has then. */
function giveVersion(segment: Buffer, version: number): Buffer {
  segment.writeUInt32LE(version, 8)
  segment.writeUInt32LE(crc32(segment.subarray(16, pageBytes), crc32(segment.subarray(0, 12))), 12)
  return segment
}

function headerOf(segment: Buffer): SegmentHeader {
  const header = decodeSegmentHeader(segment)
  if (typeof header === 'string') throw new Error('an intact segment has a header')
  return header
}

function headerIn(files: MemoryFiles, name: string | undefined): SegmentHeader {
  return headerOf(Buffer.from(files.contentOf(pathOf(name))))
}

describe('damage', () => {
  test('every truncation of a journal is refused', async () => {
    const [files, , path] = await smallJournal({ close: true })
    const whole = files.contentOf(path)
    for (let length = 0; length < whole.length; length += length < 600 ? 1 : 61) {
      const copy = files.fork()
      copy.place(path, whole.slice(0, length))
      expect([length, (await outcomeOf(copy)).code]).toEqual([length, 'JOURNAL_CORRUPT'])
    }
  })

  test('every flipped bit of a sealed journal is refused, or changes nothing', async () => {
    const [files, keys, path] = await smallJournal({ close: true })
    const whole = files.contentOf(path)
    const results = { refused: 0, identical: 0 }
    for (const [byte, bit] of bitsOf(whole)) {
      const copy = files.fork()
      copy.place(path, flipped(whole, byte, bit))
      const { keys: read, code } = await outcomeOf(copy)
      if (code === undefined) {
        // The seal itself may look torn: nothing is lost with it.
        expect([byte, bit, read]).toEqual([byte, bit, keys])
        results.identical++
      } else {
        expect(refusals).toContain(code)
        results.refused++
      }
    }
    expect(results.refused).toBeGreaterThan(3_000)
    expect(results.identical).toBeGreaterThan(100)
  }, 300_000)

  test('a flipped bit of a journal that was not sealed loses at most the last batch', async () => {
    const [files, keys, path] = await smallJournal({ close: false })
    const whole = files.contentOf(path)
    let cut = 0
    for (const [byte, bit] of bitsOf(whole, 7)) {
      const copy = files.fork()
      copy.place(path, flipped(whole, byte, bit))
      const outcome = await outcomeOf(copy)
      if (outcome.keys === undefined) continue
      // Two of the five entries are in the last batch.
      expect([byte, bit, isPrefix(outcome.keys, keys, 3)]).toEqual([byte, bit, true])
      if (outcome.keys.size < keys.size) {
        expect([byte, outcome.cut]).toEqual([byte, true])
        cut++
      }
    }
    expect(cut).toBeGreaterThan(50)
  }, 300_000)

  /** Every bit of the bytes that are not zero, and one of each that is; every `step`-th of them. */
  function* bitsOf(bytes: Uint8Array, step = 1): Generator<[number, number]> {
    let count = 0
    for (const [byte, value] of bytes.entries()) {
      const bits = value === 0 ? [byte % 8] : [0, 1, 2, 3, 4, 5, 6, 7]
      // The pages behind the last batch are all alike.
      if (value === 0 && byte % 7 !== 0) continue
      for (const bit of bits) if (count++ % step === 0) yield [byte, bit]
    }
  }

  function flipped(bytes: Uint8Array, byte: number, bit: number): Uint8Array {
    const copy = bytes.slice()
    copy[byte] = (copy[byte] ?? 0) ^ (1 << bit)
    return copy
  }

  test('says file, offset, and the command that helps', async () => {
    const [files, , path] = await smallJournal({ close: true })
    const whole = files.contentOf(path)
    whole[pageBytes + 120] = (whole[pageBytes + 120] ?? 0) ^ 1
    files.place(path, whole)
    await expect(new JournalFixture(files).open()).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      details: { file: path, offset: pageBytes },
      message: expect.stringContaining('daybook journal verify /data') as string,
    })
  })

  test('behind the reach of one batch is no torn tail', async () => {
    const [files, , path] = await smallJournal({ close: false })
    const whole = files.contentOf(path)
    const header = whole.slice(3 * pageBytes, 3 * pageBytes + 96)
    whole[3 * pageBytes + 120] = 0xff
    whole[5 * pageBytes] = 1
    expect(header.some((byte) => byte !== 0)).toBe(true)
    files.place(path, whole)
    expect((await outcomeOf(files)).code).toBe('JOURNAL_CORRUPT')
  })

  test('is a whole batch that does not follow the one before it', async () => {
    const [files, , path] = await smallJournal({ close: false })
    const whole = Buffer.from(files.contentOf(path))
    const header = headerOf(whole)
    // What a second writer would have left, which did not know of the last batch.
    const offset = 4 * pageBytes
    encodeBatchHeader(whole.subarray(offset), header, {
      offset,
      firstPosition: 6,
      epoch: 1,
      kind: 'seal',
      count: 0,
      bodyBytes: 0,
      bodyChecksum: 0,
      previousLink: 12345,
    })
    files.place(path, whole)
    await expect(new JournalFixture(files).open()).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      details: { offset },
    })
  })

  test('in a batch that was durable is found by scan and read', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    await write(journal, 'b')
    const [name] = await fixture.segments()
    const content = fixture.files.contentOf(pathOf(name))
    content[pageBytes + 120] = (content[pageBytes + 120] ?? 0) ^ 4
    fixture.files.place(pathOf(name), content)
    const corrupt = { code: 'JOURNAL_CORRUPT', details: { offset: pageBytes } }
    await expect(journal.scan(0, () => undefined)).rejects.toMatchObject(corrupt)
    await expect(keysOf(journal)).rejects.toMatchObject(corrupt)
    await expect(journal.find([1])).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' })
    await journal.close()
  })
})

describe('a torn tail', () => {
  /** A journal whose last batch was being written when the power failed. */
  async function torn(tear: (batch: Uint8Array) => void): Promise<[MemoryFiles, Keys]> {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a', 'b')
    await write(journal, 'c')
    const keys = await keysOf(journal)
    await journal.append([entryOf('torn', { bytes: 9_000 })]).done
    const files = fixture.files.kill()
    const path = pathOf((await fixture.segments())[0])
    const whole = files.contentOf(path)
    tear(whole.subarray(3 * pageBytes, 6 * pageBytes))
    files.place(path, whole)
    return [files, keys]
  }

  test.each<[string, (batch: Uint8Array) => void]>([
    ['without its end', (batch) => batch.fill(0, 5_000)],
    ['without its header', (batch) => batch.fill(0, 0, 512)],
    ['without its middle', (batch) => batch.fill(0, 4_096, 8_192)],
    ['with garbage in a sector', (batch) => batch.fill(0xa5, 512, 1_024)],
    ['with garbage for a header', (batch) => batch.fill(0xa5, 0, 512)],
  ])('%s is cut, and a copy of it is kept', async (_name, tear) => {
    const [files, keys] = await torn(tear)
    const fixture = new JournalFixture(files)
    const journal = await fixture.open()
    expect(await keysOf(journal)).toEqual(keys)
    expect(journal.cut).toMatchObject({
      offset: 3 * pageBytes,
      bytes: expect.any(Number) as number,
    })
    const copy = files.contentOf(journal.cut?.copy ?? '')
    expect(copy.length).toBe(journal.cut?.bytes)
    expect(copy.some((byte) => byte !== 0)).toBe(true)
    await write(journal, 'd')
    await journal.close()
    const again = await new JournalFixture(files).open()
    expect([...(await keysOf(again)).values()]).toEqual(['a', 'b', 'c', 'd'])
    expect(again.cut).toBeUndefined()
    await again.close()
  })

  test('whose batch never got anything on the disk is no tail at all', async () => {
    const [files, keys] = await torn((batch) => batch.fill(0))
    const journal = await new JournalFixture(files).open()
    expect(await keysOf(journal)).toEqual(keys)
    expect(journal.cut).toBeUndefined()
    await journal.close()
  })

  test('leaves a bounded number of copies', async () => {
    const large = { segmentBytes: 1 << 20, maxBytes: 2 << 20 }
    let { files } = new JournalFixture()
    for (let round = 0; round < 20; round++) {
      const journal = await new JournalFixture(files, round).open(large)
      await write(journal, `k${round}`)
      files = files.kill()
      const name = (await files.list(directory))
        .filter((name) => name.endsWith('.wal'))
        .sort()
        .at(-1)
      const whole = files.contentOf(pathOf(name))
      const end = whole.findLastIndex((byte) => byte !== 0)
      whole[end] = 0
      files.place(pathOf(name), whole)
    }
    const last = await new JournalFixture(files, 50).open(large)
    const copies = (await files.list(directory)).filter((name) => name.startsWith('torn-'))
    expect(copies).toHaveLength(16)
    expect(copies).toContain(last.cut?.copy.split('/').at(-1))
    await last.close()
  })

  test('recovery can be interrupted before each of its steps, and repeated', async () => {
    const [start, keys] = await torn((batch) => batch.fill(0, 5_000))
    for (let step = 0, interrupted = true; interrupted; step++) {
      const random = seededRandom(step)
      let files = start.fork()
      // Two crashes in a row at this step, then an undisturbed open.
      interrupted = false
      for (let crashes = 0; crashes < 2; crashes++) {
        let count = 0
        const reached = new Promise<void>((resolve) => {
          files.plan = async () => {
            if (count++ < step) return undefined
            interrupted = true
            resolve()
            return new Promise(() => undefined)
          }
        })
        const opened = new JournalFixture(files, step).open()
        await Promise.race([reached, opened.then((journal) => journal.close())])
        files = files.powerLoss(randomFates(random))
      }
      const journal = await new JournalFixture(files, step).open()
      expect([step, await keysOf(journal)]).toEqual([step, keys])
      await journal.close()
    }
  })
})

describe('power cuts', () => {
  test('in the middle of an open that garble all it was writing lose nothing', async () => {
    const [start, keys] = await smallJournal({ close: false })
    for (let step = 0, interrupted = true; interrupted; step++) {
      const files = start.fork()
      const reached = Promise.withResolvers<undefined>()
      let count = 0
      files.plan = () => {
        if (count++ < step) return undefined
        reached.resolve(undefined)
        return new Promise(() => undefined)
      }
      const opened = new JournalFixture(files).open().then((journal) => journal.close())
      interrupted = await Promise.race([reached.promise.then(() => true), opened.then(() => false)])
      const left = files.powerLoss({ ...keepsEverything, write: () => 'garbled' })
      const journal = await new JournalFixture(left).open()
      expect([step, await keysOf(journal)]).toEqual([step, keys])
      await journal.close()
      expect((await left.list(directory)).filter((name) => name.startsWith('saved-'))).toEqual([])
    }
  })

  test('in the middle of an open are undone before a repair, too', async () => {
    const [start] = await smallJournal({ close: false })
    start.done = ({ kind, path }) => {
      if (kind === 'rename' && path.includes('saved-'))
        start.plan = () => new Promise(() => undefined)
    }
    void new JournalFixture(start).open()
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    const files = start.powerLoss(keepsEverything)
    const [name = ''] = await new JournalFixture(files).segments()
    const whole = files.contentOf(pathOf(name))
    const lastBatch = 3 * pageBytes
    files.place(pathOf(name), Buffer.from(whole).fill('x', lastBatch, lastBatch + 512))
    await repairJournal(directory, files)
    expect(files.contentOf(pathOf(name))).toEqual(whole)
  })

  test('never lose what was acknowledged, wherever they come', async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed)
      let files = new JournalFixture().files
      const acknowledged: string[] = []
      for (let life = 0; life < 4; life++) {
        const fixture = new JournalFixture(files, seed * 10 + life)
        const budget = Math.floor(random.next() * 120)
        let steps = 0
        const dead = new Promise<'dead'>((resolve) => {
          files.plan = async () => {
            if (steps++ < budget) return undefined
            resolve('dead')
            return new Promise(() => undefined)
          }
        })
        const lived = live(fixture, acknowledged, life, () => random.next())
        await Promise.race([dead, lived])
        files = files.powerLoss(randomFates(random))
      }
      const journal = await new JournalFixture(files, seed).open({ segmentBytes: 32 << 10 })
      const keys = [...(await keysOf(journal)).values()]
      const missing = acknowledged.filter((key) => !keys.includes(key))
      expect([seed, missing]).toEqual([seed, []])
      // What was not acknowledged may be there too, but in order and once.
      expect(new Set(keys).size).toBe(keys.length)
      expect(keys.filter((key) => acknowledged.includes(key))).toEqual(acknowledged)
      await journal.close()
    }
  }, 120_000)

  async function live(
    fixture: JournalFixture,
    acknowledged: string[],
    life: number,
    chance: () => number,
  ): Promise<void> {
    const journal = await fixture.open({ segmentBytes: 32 << 10 })
    for (let index = 0; index < 12; index++) {
      const key = `${life}-${index}`
      await journal.append([entryOf(key, { bytes: Math.floor(chance() * 9_000) })]).done
      acknowledged.push(key)
    }
    await journal.close()
  }
})

describe('a directory', () => {
  test('that another journal has open is refused', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await expect(fixture.open()).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' })
    await journal.close()
    await (await fixture.open()).close()
  })

  test('that failed to open is not kept locked', async () => {
    const [files, , path] = await smallJournal({ close: true })
    const whole = files.contentOf(path)
    files.place(path, whole.slice(0, 5_000))
    const fixture = new JournalFixture(files)
    await expect(fixture.open()).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' })
    files.place(path, whole)
    await (await fixture.open()).close()
  })

  test('that is read-only or cannot be made is unusable', async () => {
    const fixture = new JournalFixture()
    fixture.files.readOnly = true
    await expect(fixture.open()).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
      details: { code: 'EROFS' },
    })
    const [files] = await smallJournal({ close: true })
    files.readOnly = true
    await expect(new JournalFixture(files).open()).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
    })
  })

  test('without space for a first segment is refused as full', async () => {
    const fixture = new JournalFixture()
    fixture.files.capacityBytes = 20_000
    await expect(fixture.open()).rejects.toMatchObject({ code: 'JOURNAL_FULL' })
    fixture.files.capacityBytes = Infinity
    const journal = await fixture.open()
    expect(journal.created).toBe(true)
    await journal.close()
  })

  test('with other files and no journal is foreign', async () => {
    const fixture = new JournalFixture()
    fixture.files.place(pathOf('photo.jpg'), new Uint8Array(3))
    await expect(fixture.open()).rejects.toMatchObject({
      code: 'JOURNAL_FOREIGN',
      details: { file: pathOf('photo.jpg') },
    })
  })

  test('with what an interrupted creation left is taken', async () => {
    const fixture = new JournalFixture()
    const leftover = 'preparing-01234567-89ab-cdef-0123-456789abcdef.tmp'
    fixture.files.place(pathOf(leftover), new Uint8Array(9_000))
    const journal = await fixture.open()
    expect(await fixture.files.list(directory)).not.toContain(leftover)
    await journal.close()
  })

  test('with a segment of a newer version is refused as such', async () => {
    const [files, , path] = await smallJournal({ close: true })
    const whole = Buffer.from(files.contentOf(path))
    expect(headerOf(whole).version).toBe(formatVersion)
    files.place(path, giveVersion(whole, formatVersion + 1))
    expect((await outcomeOf(files)).code).toBe('JOURNAL_VERSION')
  })

  test('of an older version is continued in a segment of this one', async () => {
    const fixture = new JournalFixture()
    await (await fixture.open()).close()
    const [name] = await fixture.segments()
    const header = headerIn(fixture.files, name)
    const page = giveVersion(encodeSegmentHeader(header), 1)
    fixture.files.place(
      pathOf(name),
      Buffer.concat([page, Buffer.alloc(header.bytes - page.length)]),
    )
    const journal = await fixture.open()
    await write(journal, 'a', 'b')
    await journal.close()
    const versions = (await fixture.segments()).map((each) => headerIn(fixture.files, each).version)
    expect(versions).toEqual([1, formatVersion])
    const again = await fixture.open()
    expect([...(await keysOf(again)).values()]).toEqual(['a', 'b'])
    await write(again, 'c')
    expect(await fixture.segments()).toHaveLength(2)
    await again.close()
  })

  test('is continued with its own lanes and id, in a new epoch', async () => {
    const fixture = new JournalFixture()
    const first = await fixture.open({ lanes: 3 })
    await first.close()
    const second = await fixture.open({ lanes: 8 })
    expect([second.lanes, second.id, second.created]).toEqual([3, first.id, false])
    expect(second.epoch).toBe(first.epoch + 1)
    fixture.files = fixture.files.powerLoss(randomFates(seededRandom(1)))
    const third = await fixture.open()
    expect(third.epoch).toBe(second.epoch + 1)
    await third.close()
  })

  test('on a full disk opens, so that what is pending can be flushed', async () => {
    const [files, keys] = await smallJournal({ close: false })
    files.plan = ({ kind, offset }) =>
      kind === 'write' && offset === 4 * pageBytes ? { code: 'ENOSPC' } : undefined
    const fixture = new JournalFixture(files)
    const journal = await fixture.open({ segmentBytes: 24 << 10 })
    expect(journal.state).toBe('full')
    expect(await keysOf(journal)).toEqual(keys)
    files.plan = () => undefined
    await fixture.clock.advance(1_000)
    await write(journal, 'f')
    await journal.close()
  })

  test('whose disk fails with the first seal is refused, and can be opened later', async () => {
    const [files, keys] = await smallJournal({ close: false })
    files.plan = ({ kind, offset }) =>
      kind === 'write' && offset === 4 * pageBytes ? { code: 'EIO' } : undefined
    expect((await outcomeOf(files)).code).toBe('JOURNAL_FAILED')
    files.plan = () => undefined
    expect((await outcomeOf(files)).keys).toEqual(keys)
  })

  test('whose disk fails at open is refused', async () => {
    for (const kind of ['sync', 'write', 'syncDirectory', 'read', 'list', 'lock'] as const) {
      const [files] = await smallJournal({ close: false })
      files.plan = (step) => (step.kind === kind ? { code: 'EIO' } : undefined)
      const { code } = await outcomeOf(files)
      expect([kind, code]).toEqual([kind, 'DIRECTORY_UNUSABLE'])
    }
  })
})

describe('segments', () => {
  /** A journal of several segments. */
  async function long(): Promise<[JournalFixture, string[]]> {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    for (let index = 0; index < 40; index++) {
      await journal.append([entryOf(`k${index}`, { bytes: 9_000 })]).done
    }
    await journal.close()
    const names = await fixture.segments()
    expect(names.length).toBeGreaterThan(5)
    return [fixture, names]
  }

  test.each<[string, string, (files: MemoryFiles, names: string[]) => Promise<void> | void]>([
    ['missing in the middle', 'JOURNAL_CORRUPT', (files, names) => files.remove(pathOf(names[2]))],
    [
      'swapped with another',
      'JOURNAL_CORRUPT',
      (files, names) => {
        const [a, b] = [files.contentOf(pathOf(names[1])), files.contentOf(pathOf(names[2]))]
        files.place(pathOf(names[1]), b)
        files.place(pathOf(names[2]), a)
      },
    ],
    [
      'there twice',
      'JOURNAL_CORRUPT',
      (files, names) =>
        files.place(
          pathOf(`${String(names[2]).slice(0, 20)}-${'0'.repeat(32)}.wal`),
          files.contentOf(pathOf(names[2])),
        ),
    ],
    [
      'with a name of its own making',
      'JOURNAL_CORRUPT',
      (files, names) => files.rename(pathOf(names[2]), pathOf('backup.wal')),
    ],
    [
      'with bytes behind its end',
      'JOURNAL_CORRUPT',
      (files, names) => {
        const content = files.contentOf(pathOf(names[2]))
        files.place(pathOf(names[2]), Buffer.concat([content, Buffer.alloc(10)]))
      },
    ],
  ])('%s are refused', async (_name, code, damage) => {
    const [fixture, names] = await long()
    await damage(fixture.files, names)
    await expect(fixture.open()).rejects.toMatchObject({ code })
  })

  test('of another journal are refused as foreign', async () => {
    const [fixture, names] = await long()
    const other = new JournalFixture(undefined, 77)
    const journal = await other.open()
    await write(journal, 'x')
    await journal.close()
    const [name] = await other.segments()
    const header = headerIn(other.files, name)
    const page = encodeSegmentHeader({
      ...header,
      ordinal: names.length + 1,
      base: 41,
      previous: { segmentId: header.segmentId, end: 0, link: 0 },
    })
    const id = header.segmentId.replaceAll('-', '')
    fixture.files.place(
      pathOf(`00000000000000000041-${id}.wal`),
      Buffer.concat([page, Buffer.alloc(header.bytes - page.length)]),
    )
    await expect(fixture.open()).rejects.toMatchObject({ code: 'JOURNAL_FOREIGN' })
  })

  test('replaced by an older copy are noticed when they are read', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    const [name] = await fixture.segments()
    const older = fixture.files.contentOf(pathOf(name))
    for (let index = 0; index < 40; index++) {
      await journal.append([entryOf(`k${index}`, { bytes: 9_000 })]).done
    }
    await journal.close()
    fixture.files.place(pathOf(name), older)
    const again = await fixture.open()
    const corrupt = { code: 'JOURNAL_CORRUPT', details: { file: pathOf(name) } }
    await expect(again.scan(0, () => undefined)).rejects.toMatchObject(corrupt)
    await expect(keysOf(again)).rejects.toMatchObject(corrupt)
    await again.close()
  })

  test('are all there after a reopen, and read from any position', async () => {
    const [fixture] = await long()
    const journal = await fixture.open()
    for (const after of [0, 1, 17, 39, 40]) {
      const keys = await keysOf(journal, after)
      const expected = Array.from({ length: 40 - after }, (_, index) => `k${after + index}`)
      expect([...keys.values()]).toEqual(expected)
      const scanned: number[] = []
      await journal.scan(after, (position) => scanned.push(position))
      expect(scanned).toEqual([...keys.keys()])
    }
    await journal.close()
  })

  test('are trimmed whole, up to a position, oldest first, and never the last', async () => {
    const [fixture, names] = await long()
    const journal = await fixture.open()
    await journal.trim(0)
    expect(await fixture.segments()).toEqual(names)
    const second = Number(String(names[2]).slice(0, 20))
    await journal.trim(second - 2)
    expect(journal.oldestPosition).toBe(Number(String(names[1]).slice(0, 20)))
    await journal.trim(second - 1)
    expect(journal.oldestPosition).toBe(second)
    await expect(keysOf(journal, second - 2)).rejects.toMatchObject({ code: 'JOURNAL_GAP' })
    await expect(journal.find([1])).rejects.toMatchObject({ code: 'JOURNAL_GAP' })
    expect((await keysOf(journal, second - 1)).keys().next().value).toBe(second)
    await journal.trim(1_000)
    expect(journal.stats().segments).toBe(1)
    await journal.close()
    const again = await fixture.open()
    expect(again.lastPosition).toBe(40)
    await again.close()
  })

  test('that are trimmed leave no gap, whichever removals a power cut takes back', async () => {
    const [fixture] = await long()
    const journal = await fixture.open()
    const { files } = fixture
    const moments: MemoryFiles[] = []
    files.done = ({ kind }) => {
      if (kind === 'remove') moments.push(files.fork())
    }
    await journal.trim(1_000)
    expect(moments.length).toBeGreaterThan(2)
    for (const moment of moments) {
      // The newest removal is on the disk, and those before it only where they were synced.
      const names = moment.unsynced().filter((operation) => !('path' in operation))
      let asked = 0
      const left = moment.powerLoss({
        ...keepsEverything,
        name: () => (++asked === names.length ? 'kept' : 'dropped'),
      })
      const again = await new JournalFixture(left).open()
      expect(again.lastPosition).toBe(40)
      await again.close()
    }
    await journal.close()
  })

  test('are kept for the retention, however much is flushed', async () => {
    const [fixture] = await long()
    const journal = await fixture.open({ retainBytes: 200 << 10 })
    const before = journal.stats().bytes
    await journal.trim(40)
    const { bytes, segments } = journal.stats()
    expect(bytes).toBeLessThan(before)
    // The last one, and of the others at least what was asked for.
    expect((segments - 1) * (64 << 10)).toBeGreaterThanOrEqual(200 << 10)
    expect((segments - 2) * (64 << 10)).toBeLessThan(200 << 10)
    await journal.close()
  })

  test('that cannot be removed fail the trim, and nothing else', async () => {
    const [fixture] = await long()
    const journal = await fixture.open()
    fixture.files.plan = ({ kind }) => (kind === 'remove' ? { code: 'EACCES' } : undefined)
    await expect(journal.trim(40)).rejects.toMatchObject({ code: 'EACCES' })
    fixture.files.plan = () => undefined
    await write(journal, 'x')
    await journal.trim(40)
    expect(journal.oldestPosition).toBeGreaterThan(30)
    await journal.close()
  })

  test('stay within the budget: appends are refused until a trim makes room', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open({ maxBytes: 256 << 10 })
    let refusal: unknown
    while (refusal === undefined) {
      const { budgetUsedUp } = journal
      try {
        await journal.append([entryOf('k', { bytes: 3_000 })]).done
        expect(budgetUsedUp).toBe(false)
      } catch (error) {
        refusal = error
      }
    }
    expect(refusal).toMatchObject({ code: 'JOURNAL_FULL', details: { reason: 'budget' } })
    expect(journal.state).toBe('open')
    expect(journal.stats().budgetUsedUp).toBe(true)
    expect(fixture.files.usedBytes).toBeLessThanOrEqual(256 << 10)
    expect(journal.lastPosition).toBe(journal.durablePosition)
    await journal.trim(journal.durablePosition)
    expect(journal.budgetUsedUp).toBe(false)
    await write(journal, 'more')
    await journal.close()
  })

  test('that cannot be prepared make the journal full only when one is needed', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.files.capacityBytes = fixture.files.usedBytes + 5_000
    await journal.append([entryOf('a', { bytes: 20_000 })]).done
    await fixture.clock.settle()
    expect(journal.state).toBe('open')
    await journal.append([entryOf('b', { bytes: 20_000 })]).done
    expect(() => journal.append([entryOf('c', { bytes: 20_000 })])).toThrow(
      expect.objectContaining({ code: 'JOURNAL_FULL' }),
    )
    expect(journal.state).toBe('full')
    await fixture.clock.advance(30_000)
    expect(journal.state).toBe('full')
    expect(fixture.listener.undoneKeys).toEqual([])
    fixture.files.capacityBytes = Infinity
    await fixture.clock.advance(6_000)
    expect(journal.state).toBe('open')
    await journal.append([entryOf('d', { bytes: 20_000 })]).done
    expect([...(await keysOf(journal)).values()]).toEqual(['a', 'b', 'd'])
    expect(fixture.files.usedBytes).toBe(journal.stats().bytes)
    await journal.close()
  })

  test('needed at once on a full disk undo what was accepted for them', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.files.capacityBytes = fixture.files.usedBytes
    const commits = ['a', 'b', 'c', 'd'].map((key) => {
      const { done } = journal.append([entryOf(key, { bytes: 40_000 })])
      return done.then(
        () => 'durable',
        (error: unknown) => (isDaybookError(error) ? error.code : 'other'),
      )
    })
    expect(await Promise.all(commits)).toEqual([
      'durable',
      'JOURNAL_FULL',
      'JOURNAL_FULL',
      'JOURNAL_FULL',
    ])
    expect(fixture.listener.undoneKeys).toEqual(['b', 'c', 'd'])
    fixture.files.capacityBytes = Infinity
    await fixture.clock.advance(1_000)
    await write(journal, 'e')
    expect([...(await keysOf(journal)).values()]).toEqual(['a', 'e'])
    await journal.close()
    const again = await fixture.open()
    expect([...(await keysOf(again)).values()]).toEqual(['a', 'e'])
    await again.close()
  })

  test('whose directory cannot be synced fail the journal', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.files.plan = ({ kind }) => (kind === 'syncDirectory' ? { code: 'ENOSPC' } : undefined)
    await journal.append([entryOf('a', { bytes: 40_000 })]).done
    await expect(journal.append([entryOf('b', { bytes: 40_000 })]).done).rejects.toMatchObject({
      code: 'JOURNAL_FAILED',
    })
    await journal.close()
  })

  test('whose header cannot be written leave nothing behind', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await journal.append([entryOf('a', { bytes: 40_000 })]).done
    fixture.files.plan = ({ kind, path }) =>
      kind === 'write' && path.endsWith('.tmp') ? { code: 'ENOSPC' } : undefined
    await expect(journal.append([entryOf('b', { bytes: 40_000 })]).done).rejects.toMatchObject({
      code: 'JOURNAL_FULL',
    })
    fixture.files.plan = () => undefined
    await fixture.clock.advance(1_000)
    await journal.append([entryOf('c', { bytes: 40_000 })]).done
    await journal.close()
    const names = await fixture.files.list(directory)
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([])
    const again = await fixture.open()
    expect([...(await keysOf(again)).values()]).toEqual(['a', 'c'])
    await again.close()
  })

  test('that are prepared and too small for a large batch make way for one that is not', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    await fixture.clock.settle()
    await journal.append([entryOf('large', { bytes: 200_000 })]).done
    await write(journal, 'b')
    expect([...(await keysOf(journal)).values()]).toEqual(['a', 'large', 'b'])
    expect(journal.stats().bytes).toBeGreaterThan(200_000)
    await journal.close()
    const again = await fixture.open()
    expect([...(await keysOf(again)).values()]).toEqual(['a', 'large', 'b'])
    expect(fixture.files.usedBytes).toBe(again.stats().bytes)
    await again.close()
  })

  test('that are full and cannot be closed are of no consequence', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.files.plan = ({ kind, path }) =>
      kind === 'close' && path.endsWith('.wal') ? { code: 'EIO' } : undefined
    for (const key of ['a', 'b', 'c']) await journal.append([entryOf(key, { bytes: 40_000 })]).done
    fixture.files.plan = () => undefined
    expect([...(await keysOf(journal)).values()]).toEqual(['a', 'b', 'c'])
    await journal.close()
  })

  test('give entries by position, in the order asked for', async () => {
    const [fixture] = await long()
    const journal = await fixture.open()
    for (const positions of [[1], [40, 1, 20], [5, 6, 7, 7], [30, 10, 31, 11], []]) {
      const found = await journal.find(positions)
      expect(found.map(({ position, key }) => [position, key])).toEqual(
        positions.map((position) => [position, `k${position - 1}`]),
      )
    }
    await expect(journal.find([41])).rejects.toMatchObject({ code: 'JOURNAL_GAP' })
    await journal.close()
  })
})

test.each([
  ['lanes', { lanes: 0 }],
  ['segmentBytes', { segmentBytes: 5_000 }],
  ['maxBytes', { maxBytes: 100_000 }],
  ['retainBytes', { retainBytes: 1 << 20 }],
])('the option %s is checked', async (path, options) => {
  await expect(new JournalFixture().open(options)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    details: { path },
  })
})
