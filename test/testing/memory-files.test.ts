import { describe, expect, test } from 'vitest'
import type { File } from '../../src/base/files.ts'
import {
  keepsEverything,
  keepsNothing,
  randomFates,
  type ByteFate,
  type CrashFates,
  type UnsyncedOperation,
} from '../../src/testing/memory-crash-fates.ts'
import type { SyncFailureProfile } from '../../src/testing/memory-disk.ts'
import { MemoryFiles, type FileStep } from '../../src/testing/memory-files.ts'
import { seededRandom } from '../journal/journal-fixture.ts'

const path = '/d/a'

async function diskWith(content: string): Promise<{ files: MemoryFiles; file: File }> {
  const files = new MemoryFiles()
  files.place(path, Buffer.from(content))
  return { files, file: await files.open(path, 'write') }
}

function textOf(files: MemoryFiles, at = path): string | undefined {
  const view = files.view(at)
  return view && Buffer.from(view).toString('latin1')
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')
const zeros = (length: number): string => '\0'.repeat(length)

/** Fates in the order in which they are asked for. */
function fates(...given: (ByteFate | ReturnType<CrashFates['write']>)[]): CrashFates {
  const next = (): ByteFate | ReturnType<CrashFates['write']> => {
    const fate = given.shift()
    if (fate === undefined) throw new Error('more fates are asked for than were given')
    return fate
  }
  const keptOrDropped = (): 'kept' | 'dropped' => (next() === 'kept' ? 'kept' : 'dropped')
  return { write: next, size: keptOrDropped, name: keptOrDropped }
}

describe('a loss of power', () => {
  test('leaves what was synced, whatever the fates', async () => {
    const { files, file } = await diskWith('')
    await file.writeDurably(bytes('synced'), 0)
    await files.makeDirectory('/e')
    await (await files.open('/e/new', 'create')).sync()
    await files.syncDirectory('/e')
    expect(files.unsynced()).toEqual([])
    const left = files.powerLoss(keepsNothing)
    expect([textOf(left), textOf(left, '/e/new')]).toEqual(['synced', ''])
  })

  test('takes an unsynced write with its size, its bytes alone, or neither', async () => {
    const { files, file } = await diskWith('old')
    await file.write(bytes('new!!'), 0)
    const states = [
      fates('kept', 'kept'),
      fates('kept', 'dropped'),
      fates('dropped', 'kept'),
      fates('dropped', 'dropped'),
    ].map((given) => textOf(files.fork().powerLoss(given)))
    expect(states).toEqual(['new!!', `old${zeros(2)}`, 'new', 'old'])
    expect(files.powerLoss(fates('kept', 'garbled')).view(path)).toHaveLength(5)
  })

  test('shows bytes whose size was dropped once a later size is there, and never else', async () => {
    const { files, file } = await diskWith('')
    await file.write(bytes('ab'), 0)
    await file.write(bytes('cd'), 2)
    const kept = files.fork().powerLoss(fates('dropped', 'kept', 'kept', 'dropped'))
    expect(textOf(kept)).toBe(`ab${zeros(2)}`)
    const cut = files.powerLoss(fates('dropped', 'kept', 'dropped', 'kept'))
    expect(textOf(cut)).toBe('')
    const again = await cut.open(path, 'write')
    await again.write(bytes('e'), 3)
    expect(textOf(cut)).toBe(`${zeros(3)}e`)
  })

  test('decides over a truncation like over growth', async () => {
    const { files, file } = await diskWith('abcdef')
    await file.truncate(2)
    await file.write(bytes('X'), 4)
    expect(textOf(files)).toBe(`ab${zeros(2)}X`)
    const states = [
      fates('kept', 'kept', 'kept'),
      fates('dropped', 'kept', 'kept'),
      fates('kept', 'dropped', 'kept'),
      fates('dropped', 'dropped', 'dropped'),
    ].map((given) => textOf(files.fork().powerLoss(given)))
    expect(states).toEqual([`ab${zeros(2)}X`, 'abcdX', 'ab', 'abcdef'])
  })

  test('tears a write at sectors of the file, and touches nothing beside it', async () => {
    const { files, file } = await diskWith('-'.repeat(2_000))
    await file.write(bytes('+'.repeat(1_200)), 100)
    const asked: number[] = []
    const torn = files.fork().powerLoss(
      fates({
        sectorBytes: 512,
        sector: (index) => {
          asked.push(index)
          return (['dropped', 'kept', 'garbled'] as const)[index] ?? 'kept'
        },
      }),
    )
    expect(asked).toEqual([0, 1, 2])
    const text = textOf(torn) ?? ''
    expect(text.slice(0, 512)).toBe('-'.repeat(512))
    expect(text.slice(512, 1_024)).toBe('+'.repeat(512))
    expect(text.slice(1_024, 1_300)).not.toMatch(/[-+]{8}/)
    expect(text.slice(1_300)).toBe('-'.repeat(700))
    const large = files.powerLoss(fates({ sectorBytes: 4096, sector: () => 'kept' }))
    expect(textOf(large)).toBe(textOf(files))
  })

  test('garbles alike in each copy of the disk, and each sector otherwise', async () => {
    const { files, file } = await diskWith('')
    await file.zeroFill(0, 16_384)
    const [left, right] = [files.fork(), files.fork().fork()].map((copy) =>
      Buffer.from(copy.powerLoss(fates('kept', 'garbled')).contentOf(path)),
    )
    expect(left?.equals(right ?? Buffer.alloc(0))).toBe(true)
    const sectors = Array.from({ length: 32 }, (_, index) =>
      left?.toString('hex', index * 512, index * 512 + 512),
    )
    expect(new Set(sectors).size).toBe(32)
  })

  test('decides over names one by one', async () => {
    const states: (string | undefined)[][] = []
    for (const [create, rename, remove] of [
      ['kept', 'kept', 'kept'],
      ['dropped', 'kept', 'dropped'],
      ['kept', 'dropped', 'dropped'],
      ['dropped', 'dropped', 'kept'],
    ] as const) {
      const { files } = await diskWith('old')
      files.place('/d/c', bytes('third'))
      await (await files.open('/d/b', 'create')).writeDurably(bytes('new'), 0)
      await files.rename('/d/b', path)
      await files.remove('/d/c')
      const left = files.powerLoss(fates(create, rename, remove))
      states.push([path, '/d/b', '/d/c'].map((at) => textOf(left, at)))
    }
    expect(states).toEqual([
      ['new', undefined, undefined],
      // The creation is gone, but not the file: it has its new name.
      ['new', undefined, 'third'],
      ['old', 'new', 'third'],
      ['old', undefined, undefined],
    ])
  })

  test('asks for fates in the order of the operations, each once', async () => {
    const { files, file } = await diskWith('old')
    await file.write(bytes('longer'), 0)
    await files.open('/d/b', 'create')
    await file.zeroFill(0, 2)
    await file.truncate(1)
    const asked: UnsyncedOperation[] = []
    const ask = <Operation extends UnsyncedOperation>(operation: Operation): 'kept' => {
      asked.push(operation)
      return 'kept'
    }
    const expected = [...files.unsynced()]
    files.powerLoss({ write: ask, size: ask, name: ask })
    expect(asked).toEqual(expected)
    expect(expected).toMatchObject([
      { kind: 'size', path, from: 3, to: 6 },
      { kind: 'write', path, offset: 0, length: 6 },
      { kind: 'create', directory: '/d', name: 'b' },
      { kind: 'write', path, offset: 0, length: 2 },
      { kind: 'size', path, from: 6, to: 1 },
    ])
  })

  test('forgets the unsynced bytes of a file that has no name any more', async () => {
    const { files, file } = await diskWith('old')
    await file.write(bytes('new'), 0)
    await files.remove(path)
    expect(textOf(files.fork().powerLoss(fates('kept', 'dropped')))).toBe('new')
    await files.syncDirectory('/d')
    expect(files.unsynced()).toEqual([])
    expect(textOf(files.powerLoss(keepsEverything))).toBeUndefined()
  })

  test('by chance reaches every fate, and the same ones with the same seed', async () => {
    const { files, file } = await diskWith('-'.repeat(1_024))
    await file.write(bytes('+'.repeat(1_024)), 0)
    const lose = (seed: number): string =>
      textOf(files.fork().powerLoss(randomFates(seededRandom(seed)))) ?? ''
    const states = Array.from({ length: 400 }, (_, seed) => lose(seed))
    expect(states).toEqual(Array.from({ length: 400 }, (_, seed) => lose(seed)))
    const kinds = states.map((text) =>
      [text.slice(0, 512), text.slice(512)].map((half) => /^(-|\+)\1+$/.exec(half)?.[1] ?? '?'),
    )
    expect(new Set(kinds.map(String)).size).toBe(9)
  })
})

describe('a process that is killed', () => {
  test('leaves what it wrote to the next one, still unsynced', async () => {
    const { files, file } = await diskWith('old')
    await file.write(bytes('new'), 0)
    const next = files.kill()
    expect(textOf(next)).toBe('new')
    expect(textOf(next.fork().powerLoss(keepsNothing))).toBe('old')
    await (await next.open(path, 'write')).sync()
    expect(textOf(next.powerLoss(keepsNothing))).toBe('new')
  })

  test('hears of nothing any more, and its locks are free', async () => {
    const files = new MemoryFiles()
    await files.makeDirectory('/d')
    await files.lock('/d/lock')
    const released = Promise.withResolvers<undefined>()
    files.plan = () => released.promise
    let returned = false
    const call = files.open(path, 'create').then(() => (returned = true))
    const next = files.kill()
    released.resolve(undefined)
    await Promise.race([call, new Promise((resolve) => setImmediate(resolve))])
    expect([returned, await next.list('/d')]).toEqual([false, ['lock']])
    expect(await next.lock('/d/lock')).toBeDefined()
    expect(await next.lock('/d/lock')).toBeUndefined()
  })
})

describe('a fork', () => {
  test('and its origin do not see what the other one does', async () => {
    const { files, file } = await diskWith('old')
    await file.write(bytes('new'), 0)
    const fork = files.fork()
    const twin = await fork.open(path, 'write')
    await twin.write(bytes('fork'), 0)
    await file.sync()
    await fork.open('/d/b', 'create')
    expect([textOf(files), textOf(fork)]).toEqual(['new', 'fork'])
    expect([textOf(files, '/d/b'), textOf(fork, '/d/b')]).toEqual([undefined, ''])
    expect(files.unsynced()).toEqual([])
    expect(textOf(fork.powerLoss(keepsNothing))).toBe('old')
    expect(textOf(files.powerLoss(keepsNothing))).toBe('new')
  })

  test('keeps a file under both of its names, should one be lost', async () => {
    const { files, file } = await diskWith('old')
    await files.rename(path, '/d/b')
    await file.write(bytes('new'), 0)
    const fork = files.fork()
    await (await fork.open('/d/b', 'write')).sync()
    expect(textOf(fork.fork().powerLoss(keepsNothing))).toBe('new')
    expect(textOf(fork.powerLoss(keepsEverything), '/d/b')).toBe('new')
  })
})

describe('a sync that fails', () => {
  const eio = (profile?: SyncFailureProfile) => (step: FileStep) =>
    step.kind === 'sync' ? { code: 'EIO', ...(profile && { profile }) } : undefined

  test('without a profile leaves all as it was', async () => {
    const { files, file } = await diskWith('old')
    files.plan = eio()
    await expect(file.writeDurably(bytes('new'), 0)).rejects.toMatchObject({
      code: 'EIO',
      syscall: 'fdatasync',
    })
    files.plan = () => undefined
    await file.sync()
    expect(textOf(files.powerLoss(keepsNothing))).toBe('new')
  })

  test.each(['ext4-ordered', 'xfs'] as const)(
    'on %s shows the new bytes, and the next sync does not write them',
    async (profile) => {
      const { files, file } = await diskWith('old')
      files.plan = eio(profile)
      await expect(file.writeDurably(bytes('newer'), 0)).rejects.toMatchObject({ code: 'EIO' })
      files.plan = () => undefined
      await file.sync()
      expect(textOf(files)).toBe('newer')
      expect(textOf(files.fork().powerLoss(keepsEverything))).toBe(`old${zeros(2)}`)
      await file.writeDurably(bytes('newer'), 0)
      expect(textOf(files.powerLoss(keepsNothing))).toBe('newer')
    },
  )

  test('on ext4-data is told by the next sync, which writes nothing', async () => {
    const { files, file } = await diskWith('old')
    files.plan = eio('ext4-data')
    await file.writeDurably(bytes('new'), 0)
    files.plan = () => undefined
    const next = files.kill()
    expect(textOf(next)).toBe('new')
    const reopened = await next.open(path, 'write')
    await reopened.write(bytes('!'), 3)
    await expect(reopened.sync()).rejects.toMatchObject({ code: 'EIO', syscall: 'fsync' })
    expect(textOf(next.fork().powerLoss(keepsNothing))).toBe('old')
    await reopened.sync()
    expect(textOf(next.powerLoss(keepsNothing))).toBe('old!')
  })

  test('on btrfs shows the old bytes again', async () => {
    const { files, file } = await diskWith('old')
    files.plan = eio('btrfs')
    await expect(file.writeDurably(bytes('newer'), 0)).rejects.toMatchObject({ code: 'EIO' })
    files.plan = () => undefined
    expect(textOf(files)).toBe('old')
    await file.writeDurably(bytes('n'), 0)
    expect(textOf(files.powerLoss(keepsNothing))).toBe('nld')
  })
})

describe('steps', () => {
  test('are told before and after, and not after where they had no effect', async () => {
    const { files, file } = await diskWith('old')
    const told: string[] = []
    files.plan = ({ kind }) => {
      told.push(kind)
      return kind === 'truncate' ? { code: 'EIO' } : undefined
    }
    files.done = ({ kind, length }) =>
      told.push(`${kind}${length ?? ''} done: ${textOf(files) ?? ''}`)
    await file.writeDurably(bytes('new'), 0)
    await expect(file.truncate(0)).rejects.toMatchObject({ code: 'EIO' })
    files.plan = () => ({ code: 'ENOSPC', partialBytes: 2 })
    await expect(file.write(bytes('third'), 0)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(told).toEqual([
      'write',
      'write3 done: new',
      'sync',
      'sync done: new',
      'truncate',
      'write5 done: thw',
    ])
  })

  test('write as much as a full disk has room for', async () => {
    const { files, file } = await diskWith('old')
    files.capacityBytes = 5
    await file.write(bytes('inplace'.slice(0, 3)), 0)
    await expect(file.write(bytes('longer'), 1)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect([textOf(files), files.usedBytes]).toEqual(['ilong', 5])
    await expect(file.zeroFill(4, 9)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(textOf(files)).toBe('ilon\0')
  })

  test('write what the buffer held when they were called', async () => {
    const { files, file } = await diskWith('')
    const buffer = Buffer.from(new SharedArrayBuffer(3))
    buffer.write('new')
    const written = file.writeDurably(buffer, 0)
    buffer.fill('x')
    await written
    files.place('/d/b', buffer)
    buffer.fill('y')
    const left = files.powerLoss(keepsNothing)
    expect([textOf(left), textOf(left, '/d/b')]).toEqual(['new', 'xxx'])
  })

  test('read past what was written as zeros, up to the size', async () => {
    const { files, file } = await diskWith('')
    await file.zeroFill(0, 10)
    await file.write(bytes('ab'), 2)
    const read = async (offset: number, length: number) =>
      Buffer.from(await file.read(offset, length)).toString('latin1')
    expect(await read(3, 4)).toBe(`b${zeros(3)}`)
    expect(await read(6, 9)).toBe(zeros(4))
    expect(await read(12, 4)).toBe('')
    expect(Buffer.from((await files.read(path, 10)) ?? '').toString('latin1')).toBe(
      `${zeros(2)}ab${zeros(6)}`,
    )
  })
})
