import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { LineLog } from '../../src/flush/line-log.ts'
import { FakeDisk, fileError, type Operation } from '../support/fake-disk.ts'

const path = 'book/lines.log'
const temporary = 'book/lines.log.new'

async function open(disk: FakeDisk): Promise<{ log: LineLog; texts: string[] }> {
  const texts: string[] = []
  const log = await LineLog.open(disk, path, 'first', (text) => texts.push(text))
  return { log, texts }
}

/** A closed log with these lines after the first. */
async function diskWith(texts: readonly string[]): Promise<FakeDisk> {
  const disk = new FakeDisk()
  const { log } = await open(disk)
  for (const text of texts) await log.append(text)
  await log.close()
  return disk
}

/** The file without its seal. */
function unsealed(disk: FakeDisk): Uint8Array {
  const bytes = disk.contents(path)
  return bytes.subarray(0, sealOf(bytes))
}

/** Where the seal begins, behind the last line. */
function sealOf(bytes: Uint8Array): number {
  return Buffer.from(bytes).lastIndexOf('\n', bytes.length - 2) + 1
}

async function textsOn(disk: FakeDisk): Promise<string[]> {
  const { log, texts } = await open(disk)
  await log.close()
  return texts
}

/** What became of the log: its texts, or the code of the refusal. */
async function outcomeOf(disk: FakeDisk): Promise<string[] | string> {
  try {
    return await textsOn(disk)
  } catch (error) {
    return String((error as { code?: unknown }).code)
  }
}

function failOnce(disk: FakeDisk, operation: Operation, error: Error, on = path): void {
  disk.fault = (op, file) => {
    if (op !== operation || file !== on) return
    disk.fault = () => undefined
    throw error
  }
}

test('lines come back in order, and each can be read where it was put', async () => {
  const disk = new FakeDisk()
  const { log, texts } = await open(disk)
  expect(texts).toEqual(['first'])
  const line = await log.append('zwei ü 𝄞')
  await log.append('')
  expect(await log.read(line)).toBe('zwei ü 𝄞')
  await log.close()
  expect(await textsOn(disk)).toEqual(['first', 'zwei ü 𝄞', ''])
  expect(disk.openFiles).toBe(0)
})

test('lines longer than a chunk are read whole', async () => {
  const long = 'x'.repeat(3_000_000)
  expect(await textsOn(await diskWith(['a', long, 'b']))).toEqual(['first', 'a', long, 'b'])
})

test('what was appended is there after a crash that loses all that was not synced', async () => {
  const disk = new FakeDisk()
  const { log } = await open(disk)
  await log.append('kept')
  expect(await textsOn(disk.restarted(false))).toEqual(['first', 'kept'])
})

test('a crash at any step leaves the lines that were acknowledged, and at most the one in flight', async () => {
  for (let crashAt = 1; ; crashAt++) {
    const disk = new FakeDisk()
    disk.crashAt = crashAt
    const acknowledged: string[] = []
    let crashed = false
    try {
      const { log } = await open(disk)
      for (const text of ['a', 'b', 'c']) {
        await log.append(text)
        acknowledged.push(text)
      }
    } catch {
      crashed = true
    }
    for (const keep of [false, true]) {
      const [first, ...rest] = await textsOn(disk.restarted(keep))
      expect(first).toBe('first')
      expect(rest.slice(0, acknowledged.length)).toEqual(acknowledged)
      expect(['a', 'b', 'c'].slice(0, rest.length)).toEqual(rest)
      expect(rest.length).toBeLessThanOrEqual(acknowledged.length + 1)
    }
    if (!crashed) break
  }
})

test('every truncation keeps whole lines, or refuses where the first line is gone', async () => {
  const disk = await diskWith(['alpha', 'beta'])
  const whole = disk.contents(path)
  // Each has a checksum, two spaces, a length of one digit and a line feed.
  const ends = [5 + 12, 5 + 12 + 5 + 12, 5 + 12 + 5 + 12 + 4 + 12]
  expect(sealOf(whole)).toBe(ends[2])
  for (let size = 0; size <= whole.length; size++) {
    const cut = new FakeDisk()
    cut.put(path, whole.subarray(0, size))
    const kept = ['first', 'alpha', 'beta'].slice(0, ends.filter((end) => end <= size).length)
    expect(await outcomeOf(cut)).toEqual(kept.length === 0 ? 'JOURNAL_CORRUPT' : kept)
  }
})

test('every flipped bit is refused, or in the seal changes nothing', async () => {
  const disk = await diskWith(['alpha', 'beta'])
  const whole = disk.contents(path)
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const flipped = whole.slice()
    flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
    const damaged = new FakeDisk()
    damaged.put(path, flipped)
    const outcome = bit < sealOf(whole) * 8 ? 'JOURNAL_CORRUPT' : ['first', 'alpha', 'beta']
    expect(await outcomeOf(damaged), `bit ${bit}`).toEqual(outcome)
    expect(damaged.openFiles).toBe(0)
    if (Array.isArray(outcome)) expect(damaged.contents(path)).toEqual(whole)
  }
})

test('any damage is refused or leaves all lines, but where it takes the seal too', async () => {
  const texts = ['alpha', 'beta', 'gamma '.repeat(200)]
  const whole = (await diskWith(texts)).contents(path)
  const all = ['first', ...texts]
  const seal = sealOf(whole)
  const change = fc.record({
    start: fc.nat(whole.length - 1),
    byte: fc.oneof(fc.constant(0), fc.nat(255)),
    length: fc.integer({ min: 1, max: 600 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const bytes = whole.slice()
      for (const { start, byte, length } of changes) bytes.fill(byte, start, start + length)
      const disk = new FakeDisk()
      disk.put(path, bytes)
      const outcome = await outcomeOf(disk)
      if (typeof outcome === 'string') {
        expect(outcome).toBe('JOURNAL_CORRUPT')
        return
      }
      expect(all.slice(0, outcome.length)).toEqual(outcome)
      if (outcome.length === all.length) return
      expect(bytes.subarray(seal)).not.toEqual(whole.subarray(seal))
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['the whole line but its line feed', 'abcdef', (line: Buffer) => line.subarray(0, -1)],
  ['zeros where the last sector should be', 'x'.repeat(600), (line: Buffer) => line.fill(0, 495)],
  ['zeros only', 'abc', (line: Buffer) => line.fill(0)],
  ['nothing but a checksum', 'abc', (line: Buffer) => line.subarray(0, 8)],
  ['garbage', 'abc', (line: Buffer) => line.fill('\n7f\n', 4)],
])('a last line of which %s reached the disk is cut', async (_, text, damage) => {
  const before = unsealed(await diskWith([]))
  const line = unsealed(await diskWith([text])).subarray(before.length)
  const disk = new FakeDisk()
  disk.put(path, Buffer.concat([before, damage(Buffer.from(line))]))
  expect(await textsOn(disk)).toEqual(['first'])
  expect(await textsOn(disk)).toEqual(['first'])
})

test.each([
  ['a line feed is another byte', (lines: Buffer) => lines.fill(0x0b, lines.length - 1)],
  [
    'two line feeds are other bytes',
    (lines: Buffer) => {
      lines[lines.indexOf('\n')] = 0x0b
      return lines.fill(0x0b, lines.length - 1)
    },
  ],
  [
    'a length is too long',
    (lines: Buffer) => lines.fill('9', lines.lastIndexOf(' ') - 1, lines.lastIndexOf(' ')),
  ],
  ['a checksum is gone', (lines: Buffer) => lines.fill(0, 0, 8)],
])('acknowledged lines of which %s are refused, not cut', async (_, damage) => {
  const before = unsealed(await diskWith([]))
  const whole = (await diskWith(['abc', 'def'])).contents(path)
  const lines = whole.subarray(before.length, sealOf(whole))
  const disk = new FakeDisk()
  const seal = whole.subarray(sealOf(whole))
  disk.put(path, Buffer.concat([before, damage(Buffer.from(lines)), seal]))
  expect(await outcomeOf(disk)).toBe('JOURNAL_CORRUPT')
})

test('a damaged line before a whole one is refused, though the seal is gone', async () => {
  const disk = await diskWith(['abc', 'def'])
  for (const at of [17, 29]) {
    const damaged = new FakeDisk()
    damaged.put(path, unsealed(disk))
    damaged.damage(path, at)
    expect(await outcomeOf(damaged)).toBe('JOURNAL_CORRUPT')
  }
})

test('an append that was never acknowledged is cut, whatever it left behind the seal', async () => {
  for (const remains of ['x', '\n', '0'.repeat(700), '\0'.repeat(2_000)]) {
    const disk = await diskWith(['abc'])
    const whole = disk.contents(path)
    disk.put(path, Buffer.concat([whole, Buffer.from(remains)]))
    expect(await textsOn(disk)).toEqual(['first', 'abc'])
    expect(disk.contents(path)).toEqual(whole)
  }
})

test('a seal of another line is refused', async () => {
  const [disk, other] = [await diskWith(['abc']), await diskWith(['abd'])]
  const seal = other.contents(path).subarray(sealOf(other.contents(path)))
  disk.put(path, Buffer.concat([unsealed(disk), seal]))
  expect(await outcomeOf(disk)).toBe('JOURNAL_CORRUPT')
})

test('a line without a seal is written anew, for the disk may not have it', async () => {
  const disk = await diskWith(['abc'])
  const whole = disk.contents(path)
  disk.put(path, unsealed(disk))
  const created: string[] = []
  disk.fault = (operation, file) => {
    if (operation === 'create') created.push(file)
  }
  expect(await textsOn(disk)).toEqual(['first', 'abc'])
  expect(created).toEqual([temporary])
  expect(disk.restarted(false).contents(path)).toEqual(whole)
  expect(disk.paths()).toEqual([path])
})

test('on a full disk a tail is cut in place, and lines go on', async () => {
  const disk = await diskWith(['abc'])
  disk.put(path, Buffer.concat([unsealed(disk), Buffer.from('torn')]))
  failOnce(disk, 'write', fileError('ENOSPC', 'write'), temporary)
  const { log, texts } = await open(disk)
  expect(texts).toEqual(['first', 'abc'])
  await log.append('def')
  await log.close()
  expect(await textsOn(disk)).toEqual(['first', 'abc', 'def'])
  expect(disk.paths()).toEqual([path])
})

test.each(['create', 'sync', 'rename', 'syncDirectory', 'close'] as const)(
  'a file that cannot be written anew at open for its %s is not opened',
  async (operation) => {
    const disk = await diskWith(['abc'])
    disk.put(path, unsealed(disk))
    const on = { syncDirectory: 'book', close: path }[operation as string] ?? temporary
    failOnce(disk, operation, fileError('EIO', operation), on)
    await expect(open(disk)).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    expect(await textsOn(disk)).toEqual(['first', 'abc'])
  },
)

test('a seal that cannot be written harms nothing', async () => {
  const disk = new FakeDisk()
  const { log } = await open(disk)
  failOnce(disk, 'write', fileError('EIO', 'write'))
  await log.append('abc')
  await log.append('d')
  await log.close()
  expect(await textsOn(disk)).toEqual(['first', 'abc', 'd'])
})

/** The lines of the file, each with its line feed. */
function linesOf(bytes: Uint8Array): Buffer[] {
  const lines: Buffer[] = []
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0x0a, start) + 1
    lines.push(Buffer.from(bytes.subarray(start, end)))
    start = end
  }
  return lines
}

test.each<[string, (lines: Buffer[]) => Buffer[]]>([
  ['is missing', (lines) => lines.toSpliced(2, 1)],
  ['is there twice', (lines) => lines.toSpliced(2, 0, ...lines.slice(2, 3))],
  ['comes again at the end', (lines) => lines.toSpliced(-1, 0, ...lines.slice(1, 2))],
  [
    'has changed places',
    ([first, a, b, ...rest]) => [first, b, a, ...rest].flatMap((x) => x ?? []),
  ],
])('a line that %s is refused, whole as it is', async (_, change) => {
  const disk = await diskWith(['alpha', 'beta', 'gamma', 'delta'])
  disk.put(path, Buffer.concat(change(linesOf(disk.contents(path)))))
  expect(await outcomeOf(disk)).toBe('JOURNAL_CORRUPT')
})

test('a line of another log is refused, whole as it is', async () => {
  const disk = await diskWith(['alpha', 'beta'])
  const [, , stranger] = linesOf((await diskWith(['other', 'beta'])).contents(path))
  const lines = linesOf(disk.contents(path))
  disk.put(path, Buffer.concat(lines.with(2, stranger ?? Buffer.alloc(0))))
  expect(await outcomeOf(disk)).toBe('JOURNAL_CORRUPT')
})

test('a file whose lines are not linked yet is read and appended to, and linked once it is replaced', async () => {
  const unlinked = (text: string): Buffer => {
    const checked = Buffer.from(` ${Buffer.byteLength(text)} ${text}`)
    const digits = crc32(checked).toString(16).padStart(8, '0')
    return Buffer.concat([Buffer.from(digits), checked, Buffer.from('\n')])
  }
  const disk = new FakeDisk()
  disk.put(path, Buffer.concat(['old first', 'a', 'b'].map(unlinked)))
  const { log, texts } = await open(disk)
  expect(texts).toEqual(['old first', 'a', 'b'])
  const line = await log.append('c')
  expect(await log.read(line)).toBe('c')
  await log.close()
  expect(unsealed(disk)).toEqual(
    new Uint8Array(Buffer.concat(['old first', 'a', 'b', 'c'].map(unlinked))),
  )

  const again = await open(disk)
  expect(again.texts).toEqual(['old first', 'a', 'b', 'c'])
  await again.log.replace(['first', 'a', 'b'])
  await again.log.append('d')
  await again.log.close()
  expect(await textsOn(disk)).toEqual(['first', 'a', 'b', 'd'])
  disk.put(path, Buffer.concat(linesOf(disk.contents(path)).toSpliced(1, 1)))
  expect(await outcomeOf(disk)).toBe('JOURNAL_CORRUPT')
})

test('a last line with a sector that never reached the disk is cut, though its end did', async () => {
  const disk = await diskWith(['kept', 'x'.repeat(3000)])
  const torn = unsealed(disk)
  torn.fill(0, 1024, 1536)
  disk.put(path, torn)
  expect(await textsOn(disk)).toEqual(['first', 'kept'])
  expect(await textsOn(disk)).toEqual(['first', 'kept'])
})

test('the same damage before another line is refused, with the place', async () => {
  const disk = await diskWith(['x'.repeat(3000), 'after'])
  const damaged = disk.contents(path)
  damaged.fill(0, 1024, 1536)
  disk.put(path, damaged)
  await expect(open(disk)).rejects.toMatchObject({
    code: 'JOURNAL_CORRUPT',
    details: { file: path, offset: 17 },
  })
})

test('an empty file is refused: the first line is written before the file has its name', async () => {
  const disk = new FakeDisk()
  disk.put(path, new Uint8Array(0))
  expect(await outcomeOf(disk)).toBe('JOURNAL_CORRUPT')
})

test('a full disk refuses the line, and takes a shorter one when space is back', async () => {
  const disk = new FakeDisk()
  const { log } = await open(disk)
  failOnce(disk, 'writeDurably', fileError('ENOSPC', 'write'))
  await expect(log.append('refused'.repeat(10))).rejects.toMatchObject({ code: 'JOURNAL_FULL' })
  expect(await textsOn(disk.restarted(true))).toEqual(['first'])
  await log.append('b')
  await log.close()
  expect(await textsOn(disk)).toEqual(['first', 'b'])
})

test.each([
  ['a failed sync', 'sync', fileError('EIO', 'fdatasync')],
  ['a full disk that only the sync reports', 'sync', fileError('ENOSPC', 'fdatasync')],
  ['a failed write', 'writeDurably', fileError('EIO', 'write')],
] as const)('after %s nothing more is appended or replaced', async (_, operation, error) => {
  const disk = new FakeDisk()
  const { log } = await open(disk)
  failOnce(disk, operation, error)
  await expect(log.append('a')).rejects.toMatchObject({ code: 'JOURNAL_FAILED', cause: error })
  await expect(log.append('b')).rejects.toMatchObject({ code: 'JOURNAL_FAILED', cause: error })
  await expect(log.replace(['first'])).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
})

test('a file whose lines cannot be made durable at open is not opened', async () => {
  const disk = await diskWith(['a'])
  failOnce(disk, 'sync', fileError('EIO', 'fdatasync'))
  await expect(open(disk)).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
  expect(disk.openFiles).toBe(0)
})

test('a visitor that throws ends the opening, and the file is closed', async () => {
  const disk = await diskWith(['a'])
  const refuse = (): never => {
    throw new Error('not mine')
  }
  await expect(LineLog.open(disk, path, 'first', refuse)).rejects.toThrow('not mine')
  expect(disk.openFiles).toBe(0)
})

test('a line that was damaged since it was read is found when it is read again', async () => {
  const disk = new FakeDisk()
  const { log } = await open(disk)
  const line = await log.append('alpha')
  await expect(log.read({ ...line, bytes: line.bytes - 1 })).rejects.toMatchObject({
    code: 'JOURNAL_CORRUPT',
    details: { offset: line.offset },
  })
})

test('replacing is all or nothing, whatever step crashes', async () => {
  for (let steps = 1; ; steps++) {
    const disk = await diskWith(['a', 'b'])
    const { log } = await open(disk)
    disk.crashAt = disk.steps + steps
    let crashed = false
    try {
      await log.replace(['first', 'new'])
      await log.append('later')
    } catch {
      crashed = true
    }
    for (const keep of [false, true]) {
      const texts = await textsOn(disk.restarted(keep))
      const possible = crashed
        ? [
            ['first', 'a', 'b'],
            ['first', 'new'],
            ['first', 'new', 'later'],
          ]
        : [['first', 'new', 'later']]
      expect(possible).toContainEqual(texts)
      expect(disk.restarted(keep).paths().length).toBeLessThanOrEqual(2)
    }
    if (!crashed) break
  }
})

test('replaced lines are where replace says, and lines go on after them', async () => {
  const disk = await diskWith(['a'.repeat(100)])
  const { log } = await open(disk)
  const many = Array.from({ length: 30 }, (_, index) => String(index).repeat(50_000))
  const lines = await log.replace(['first', ...many])
  for (const [index, text] of many.entries()) {
    const line = lines[index + 1]
    expect(line && (await log.read(line))).toBe(text)
  }
  const added = await log.append('after')
  expect(await log.read(added)).toBe('after')
  expect(log.bytes).toBe(unsealed(disk).length)
  await log.close()
  expect(await textsOn(disk)).toEqual(['first', ...many, 'after'])
})

test.each(['create', 'write', 'sync', 'rename'] as const)(
  'a replacement whose %s fails changes nothing and leaves nothing behind',
  async (operation) => {
    const disk = await diskWith(['a'])
    const { log } = await open(disk)
    failOnce(disk, operation, fileError('ENOSPC', operation), temporary)
    await expect(log.replace(['first'])).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(disk.paths()).toEqual([path])
    await log.append('b')
    await log.close()
    expect(await textsOn(disk)).toEqual(['first', 'a', 'b'])
    expect(disk.openFiles).toBe(0)
  },
)

test('a replacement whose new name may not last takes no further lines', async () => {
  const disk = await diskWith(['a'])
  const { log } = await open(disk)
  failOnce(disk, 'syncDirectory', fileError('EIO', 'fsync'), 'book')
  const [, line] = await log.replace(['first', 'new'])
  expect(line && (await log.read(line))).toBe('new')
  await expect(log.append('b')).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
})

test('a replaced file that cannot be closed is let go of', async () => {
  const disk = await diskWith(['a'])
  const { log } = await open(disk)
  failOnce(disk, 'close', fileError('EIO', 'close'))
  await log.replace(['first'])
  await log.append('b')
  expect(await textsOn(disk.restarted(false))).toEqual(['first', 'b'])
})

test('what an interrupted replacement left behind is removed at open', async () => {
  const disk = await diskWith(['a'])
  disk.put(temporary, new Uint8Array(10))
  expect(await textsOn(disk)).toEqual(['first', 'a'])
  expect(disk.paths()).toEqual([path])
})

test.each([
  ['plain.log', '.'],
  ['/root.log', '/'],
  ['C:\\book\\letters.log', 'C:\\book'],
])('the directory of %s that is synced is %s', async (file, directory) => {
  const disk = new FakeDisk()
  const synced: string[] = []
  disk.fault = (operation, name) => {
    if (operation === 'syncDirectory') synced.push(name)
  }
  await LineLog.open(disk, file, 'first', () => undefined)
  expect(new Set(synced)).toEqual(new Set([directory]))
})
