import { spawnSync } from 'node:child_process'
import { pbkdf2 } from 'node:crypto'
import { linkSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DiskCaller } from '../../src/base/disk-caller.ts'
import { nodeFiles } from '../../src/base/node-files.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-files-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

const at = (name: string): string => join(directory, name)
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('node files', () => {
  test('write, sync, read and truncate at offsets', async () => {
    const file = await nodeFiles.open(at('a'), 'create')
    await file.write(bytesOf('hello'), 3)
    await file.writeDurably(bytesOf('!'), 8)
    await file.sync()
    expect(await file.read(0, 100)).toEqual(bytesOf('\0\0\0hello!'))
    expect(await file.read(4, 2)).toEqual(bytesOf('el'))
    expect(await file.read(50, 2)).toHaveLength(0)
    await file.truncate(5)
    expect(await nodeFiles.size(at('a'))).toBe(5)
    await file.close()
    await file.close()
  })

  test('write straight from shared memory, as it is when the call is made', async () => {
    const shared = Buffer.from(new SharedArrayBuffer(8_192))
    shared.fill('x', 100, 110)
    const file = await nodeFiles.open(at('a'), 'create')
    await file.writeDurably(shared.subarray(96, 112), 0)
    expect(await file.read(0, 16)).toEqual(bytesOf('\0\0\0\0xxxxxxxxxx\0\0'))
    await file.close()
  })

  test('zero-fill a range that is longer than a slice', async () => {
    const file = await nodeFiles.open(at('a'), 'create')
    await file.write(bytesOf('abc'), 0)
    await file.zeroFill(1, 9_000_001)
    expect(await nodeFiles.size(at('a'))).toBe(9_000_002)
    expect(await file.read(0, 4)).toEqual(bytesOf('a\0\0\0'))
    await file.close()
  })

  test.runIf(process.platform === 'linux')(
    'say so where a directory takes no new one',
    { timeout: 10_000 },
    async () => {
      await expect(nodeFiles.makeDirectory('/proc/daybook/data')).rejects.toThrow(/ENOENT/)
      const file = await nodeFiles.open(at('file'), 'create')
      await file.close()
      await expect(nodeFiles.makeDirectory(at('file/data'))).rejects.toThrow(/EEXIST/)
      await expect(nodeFiles.makeDirectory(at('file'))).rejects.toThrow(/EEXIST/)
    },
  )

  test('are private to the user', async () => {
    await nodeFiles.makeDirectory(at('deep/er'))
    await nodeFiles.makeDirectory(at('deep/er'))
    const file = await nodeFiles.open(at('deep/er/a'), 'create')
    await file.close()
    const lock = await nodeFiles.lock(at('deep/er/lock'))
    const modes = ['deep', 'deep/er', 'deep/er/a', 'deep/er/lock'].map(
      (name) => statSync(at(name)).mode & 0o777,
    )
    expect(modes).toEqual([0o700, 0o700, 0o600, 0o600])
    await lock?.release()
  })

  test('never follow a link, and never overwrite on create', async () => {
    writeFileSync(at('target'), 'precious')
    symlinkSync(at('target'), at('link'))
    await expect(nodeFiles.open(at('link'), 'create')).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(nodeFiles.open(at('link'), 'write')).rejects.toMatchObject({ code: 'ELOOP' })
    await expect(nodeFiles.open(at('target'), 'create')).rejects.toMatchObject({
      code: 'EEXIST',
      syscall: 'open',
      path: at('target'),
    })
  })

  test('tell what is not there by undefined, and what cannot be done by an error', async () => {
    expect(await nodeFiles.size(at('none'))).toBeUndefined()
    expect(await nodeFiles.read(at('none'), 10)).toBeUndefined()
    await nodeFiles.remove(at('none'))
    await expect(nodeFiles.open(at('none'), 'read')).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(nodeFiles.list(at('none'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(nodeFiles.syncDirectory(at('none'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(nodeFiles.rename(at('none'), at('b'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('read whole small files, and refuse larger ones', async () => {
    writeFileSync(at('a'), '12345')
    expect(await nodeFiles.read(at('a'), 5)).toEqual(bytesOf('12345'))
    await expect(nodeFiles.read(at('a'), 4)).rejects.toMatchObject({ code: 'EFBIG' })
  })

  test('list, rename, remove and sync a directory', async () => {
    writeFileSync(at('a'), '')
    writeFileSync(at('b'), '')
    await nodeFiles.rename(at('a'), at('c'))
    await nodeFiles.remove(at('b'))
    await nodeFiles.syncDirectory(directory)
    expect(await nodeFiles.list(directory)).toEqual(['c'])
  })

  test('a failed write names its code and call', async () => {
    writeFileSync(at('a'), 'x')
    const file = await nodeFiles.open(at('a'), 'read')
    await expect(file.write(bytesOf('y'), 0)).rejects.toMatchObject({
      code: 'EBADF',
      syscall: 'write',
      path: at('a'),
    })
    await file.close()
  })

  test('a closed file is never touched again, whatever its descriptor is now', async () => {
    const closed = await nodeFiles.open(at('a'), 'create')
    await closed.close()
    const other = await nodeFiles.open(at('b'), 'create')
    await expect(closed.write(bytesOf('y'), 0)).rejects.toMatchObject({ code: 'EBADF' })
    expect(await nodeFiles.size(at('b'))).toBe(0)
    await other.close()
  })
})

describe('a lock', () => {
  test('has one holder in a process, and is free again after its release', async () => {
    const first = await nodeFiles.lock(at('lock'))
    expect(first).toBeDefined()
    expect(await nodeFiles.lock(at('lock'))).toBeUndefined()
    // A refused attempt must not have dropped the first one's lock either.
    expect(await nodeFiles.lock(at('lock'))).toBeUndefined()
    await first?.release()
    await first?.release()
    const second = await nodeFiles.lock(at('lock'))
    expect(second).toBeDefined()
    await second?.release()
    expect(await nodeFiles.list(directory)).toEqual(['lock'])
  })

  test('keeps another process out', async () => {
    const held = await nodeFiles.lock(at('lock'))
    expect(lockInAnotherProcess()).toBe('refused')
    await held?.release()
    expect(lockInAnotherProcess()).toBe('taken')
  })

  test('fails where its file cannot be made', async () => {
    await expect(nodeFiles.lock(at('none/lock'))).rejects.toMatchObject({ code: 'ENOENT' })
    writeFileSync(
      at('text'),
      'this is no lock file, and it is longer than a header of one hundred bytes'.repeat(20),
    )
    await expect(nodeFiles.lock(at('text'))).rejects.toMatchObject({ code: 'ERR_SQLITE_ERROR' })
  })

  function lockInAnotherProcess(): string {
    const module = new URL('../../src/base/node-files.ts', import.meta.url).href
    const script = `
      const { nodeFiles } = await import(${JSON.stringify(module)})
      const lock = await nodeFiles.lock(${JSON.stringify(at('lock'))})
      process.stdout.write(lock === undefined ? 'refused' : 'taken')
    `
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    return child.stdout.toString()
  }
})

describe('the disk threads', () => {
  test('take more calls at a time than the mailbox has slots, in their order', async () => {
    const file = await nodeFiles.open(at('a'), 'create')
    // More buffers than the thread keeps, each used several times.
    const buffers = Array.from({ length: 40 }, (_, index) =>
      Buffer.from(new SharedArrayBuffer(16)).fill(65 + index),
    )
    const writes: Promise<void>[] = []
    for (let at = 0; at < 400; at++) {
      const bytes = (buffers[at % 40] as Buffer).subarray(at % 8, 1 + (at % 8))
      writes.push(file.write(bytes, at >> 1))
    }
    await Promise.all(writes)
    // Of two writes to a place the second one counts.
    const expected = Array.from({ length: 200 }, (_, index) => 65 + ((2 * index + 1) % 40))
    expect([...(await file.read(0, 1000))]).toEqual(expected)
    await file.close()
  })

  test('write beyond 2^30 bytes, and from buffers that are too large to be kept', async () => {
    const file = await nodeFiles.open(at('a'), 'create')
    const large = Buffer.from(new SharedArrayBuffer((4 << 20) + 1)).fill('z')
    const small = Buffer.from(new SharedArrayBuffer(64)).fill('y')
    const far = 5 * 2 ** 30 + 7
    for (let round = 0; round < 2; round++) {
      await file.write(large.subarray(0, 10), far)
      await file.writeDurably(small.subarray(0, 3), far + 10)
    }
    expect(await file.read(far, 100)).toEqual(bytesOf('zzzzzzzzzzyyy'))
    await file.close()
  })

  test('a failed write from shared memory names its code and call', async () => {
    writeFileSync(at('a'), 'x')
    const file = await nodeFiles.open(at('a'), 'read')
    const shared = Buffer.from(new SharedArrayBuffer(64)).fill('y')
    const refusal = { code: 'EBADF', syscall: 'write', path: at('a') }
    // The first time it is a message, then it goes by the mailbox.
    await expect(file.writeDurably(shared, 0)).rejects.toMatchObject(refusal)
    await expect(file.writeDurably(shared, 0)).rejects.toMatchObject(refusal)
    expect(await file.read(0, 10)).toEqual(bytesOf('x'))
    await file.close()
  })

  test('calls of a thread that ends fail, and the next call starts another one', async () => {
    const dying = `
      import { workerData } from 'node:worker_threads'
      Atomics.wait(workerData.memory, 0, 0)
      throw new Error('out of luck')
    `
    const module = new URL(`data:text/javascript,${encodeURIComponent(dying)}`)
    const caller = new DiskCaller('dying', module)
    const failure = { code: 'ERR_DISK_THREAD', message: 'out of luck', path: at('a') }
    for (let round = 0; round < 2; round++) {
      const calls = Array.from({ length: 100 }, () =>
        caller.perform({ name: 'size', path: at('a') }),
      )
      for (const outcome of await Promise.allSettled(calls)) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: failure })
      }
      expect(caller.idle).toBe(true)
    }
  })

  test('do not wait in libuv’s pool', async () => {
    let finished = 0
    // More than the pool has threads, each much longer than a write: whatever waits in the pool comes after some.
    const hashes = Array.from(
      { length: 16 },
      () =>
        new Promise<void>((resolve, reject) =>
          pbkdf2('secret', 'salt', 500_000, 64, 'sha512', (error) => {
            finished++
            if (error === null) resolve()
            else reject(error)
          }),
        ),
    )
    const file = await nodeFiles.open(at('a'), 'create')
    await file.writeDurably(bytesOf('x'), 0)
    expect(finished).toBeLessThan(4)
    await file.close()
    await Promise.all(hashes)
  })

  test('do not keep a process alive that has a file open', () => {
    const module = new URL('../../src/base/node-files.ts', import.meta.url).href
    const script = `
      const { nodeFiles } = await import(${JSON.stringify(module)})
      const file = await nodeFiles.open(${JSON.stringify(at('a'))}, 'create')
      await file.writeDurably(new Uint8Array(10), 0)
      process.stdout.write('open')
    `
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 30_000,
    })
    expect({ status: child.status, out: child.stdout.toString() }).toEqual({
      status: 0,
      out: 'open',
    })
  })

  test('keep a process alive until what is in flight has returned', () => {
    const module = new URL('../../src/base/node-files.ts', import.meta.url).href
    const script = `
      const { nodeFiles } = await import(${JSON.stringify(module)})
      const file = await nodeFiles.open(${JSON.stringify(at('a'))}, 'create')
      void file.zeroFill(0, 1 << 20).then(() => process.stdout.write('filled'))
    `
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    expect(child.stdout.toString()).toBe('filled')
  })
})

test('hard links are no way around the lock of a file', async () => {
  const lock = await nodeFiles.lock(at('lock'))
  linkSync(at('lock'), at('other'))
  expect(await nodeFiles.lock(at('other'))).toBeUndefined()
  await lock?.release()
})
