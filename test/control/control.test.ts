/** The control socket on real sockets, with a fake book. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/log.ts'
import { ControlClient } from '../../src/control/control-client.ts'
import { type Control, startControl } from '../../src/control/control-server.ts'
import { maxRequestBytes } from '../../src/control/wire.ts'
import { FakeBook, letter } from './fake-book.ts'

let directory = ''
let book: FakeBook
const open: { close(): unknown }[] = []

function start(at = directory): Promise<Control> {
  return startControl(book, { directory: at, clock: systemClock, logger: silentLogger })
}

async function started(at = directory): Promise<{ control: Control; client: ControlClient }> {
  const control = await start(at)
  const client = await ControlClient.connect(at)
  if (client === undefined) throw new Error('nobody listens')
  open.push(client, control)
  return { control, client }
}

/** Says something, and resolves to all that was answered before the server hung up or `lines` came. */
async function converse(
  address: string,
  say: (socket: Socket) => void,
  lines = Infinity,
): Promise<string[]> {
  const socket = connect(address)
  let text = ''
  await new Promise<void>((resolve) => {
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.split('\n').length > lines) resolve()
    })
    socket.once('close', resolve)
    socket.once('error', () => resolve())
    say(socket)
  })
  socket.destroy()
  return text.split('\n').filter((line) => line !== '')
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-test-'))
  book = new FakeBook()
})

afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('a controlled book', () => {
  it('answers every method', async () => {
    const { client } = await started()
    expect(await client.request('status')).toEqual(book.stats())
    expect(await client.request('flush')).toEqual(book.stats())
    expect(await client.request('pause')).toBeUndefined()
    expect(await client.request('resume')).toBeUndefined()
    expect(await client.request('deadLetters.groups')).toHaveLength(1)
    expect(await client.request('deadLetters.show', { id: '1-2' })).toEqual(letter)
    expect(await client.request('deadLetters.current', { id: '1-2' })).toEqual({
      value: { visits: 3 },
    })
    await client.request('deadLetters.list', {
      cache: 'users',
      reason: 'parked',
      limit: 7,
      sinceMs: 5,
    })
    await client.request('deadLetters.retry', { ids: ['1-1', '2-2'] })
    await client.request('deadLetters.retry', { filter: { code: '1' }, first: 5, force: true })
    await client.request('deadLetters.edit', { id: '1-1', edit: { set: { name: 'x' } } })
    expect(book.calls).toEqual([
      'pause',
      'resume',
      'list {"cache":"users","reason":"parked","sinceMs":5,"limit":7}',
      'retry ["1-1","2-2"] false',
      'retry {"filter":{"code":"1"},"first":5} true',
      'edit 1-1 {"set":{"name":"x"}}',
    ])
  })

  it('gives its error back as it was', async () => {
    const { client } = await started()
    await expect(client.request('deadLetters.discard', { ids: ['1-1'] })).rejects.toMatchObject({
      name: 'DaybookError',
      code: 'DEAD_LETTER_UNKNOWN',
      details: { id: '1-1' },
    })
  })

  it.each([
    ['deadLetters.show', {}],
    ['deadLetters.retry', { ids: 'all' }],
    ['deadLetters.retry', { ids: Array.from({ length: 10_001 }, () => '1-1') }],
    ['deadLetters.discard', {}],
    ['deadLetters.edit', { id: '1-1', edit: { set: {}, merge: {} } }],
    ['deadLetters.edit', { id: '1-1', edit: { delete: false } }],
    ['deadLetters.list', { limit: 0 }],
    ['deadLetters.list', { reason: 'bad luck' }],
    ['deadLetters.list', { sinceMs: 'yesterday' }],
    ['nothing', {}],
  ])('refuses %s with %o', async (method, params) => {
    const { client } = await started()
    await expect(client.request(method, params)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    expect(book.calls).toEqual([])
  })

  it('ends a wait at its deadline, and goes on answering', async () => {
    const { client } = await started()
    book.flushing = Promise.withResolvers<undefined>().promise
    const late = client.request('flush', {}, { timeoutMs: 20 })
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(book.flushSignal?.aborted).toBe(true)
    expect(await client.request('status')).toEqual(book.stats())
  })

  it('ends a wait when the one who asked has gone', async () => {
    const { client } = await started()
    book.flushing = Promise.withResolvers<undefined>().promise
    const answer = client.request('flush')
    const second = await ControlClient.connect(directory)
    while (book.flushSignal === undefined) await second?.request('status')
    client.close()
    await expect(answer).rejects.toMatchObject({ code: 'CLOSED' })
    while (!book.flushSignal.aborted) await second?.request('status')
    second?.close()
    await expect(client.request('status')).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('ends the waits of those who ask when it closes', async () => {
    const { client, control } = await started()
    book.flushing = Promise.withResolvers<undefined>().promise
    const answer = client.request('flush')
    answer.catch(() => undefined)
    while (book.flushSignal === undefined) await new Promise(setImmediate)
    await control.close()
    await control.close()
    await expect(answer).rejects.toMatchObject({ code: 'CLOSED' })
    expect(book.flushSignal.aborted).toBe(true)
    expect(await ControlClient.connect(directory)).toBeUndefined()
  })
})

describe('nonsense', () => {
  it.each([
    'no json',
    '[]',
    '{"id":1}',
    '{"method":"status"}',
    '{"id":1,"method":"status","params":[]}',
  ])('is answered with an error: %s', async (line) => {
    const { control } = await started()
    const [answer] = await converse(control.address, (socket) => socket.write(`${line}\n`), 1)
    expect(JSON.parse(answer ?? '')).toMatchObject({ error: { code: 'INVALID_OPTION' } })
  })

  it('that never ends its line is cut off', async () => {
    const { control, client } = await started()
    const answers = await converse(control.address, (socket) =>
      socket.write('x'.repeat(maxRequestBytes + 1)),
    )
    expect(JSON.parse(answers[0] ?? '')).toMatchObject({
      id: null,
      error: { code: 'INVALID_OPTION' },
    })
    expect(await client.request('status')).toEqual(book.stats())
  })

  it('that asks more than it lets be answered is cut off', async () => {
    const { control } = await started()
    book.flushing = Promise.withResolvers<undefined>().promise
    const request = '{"id":1,"method":"flush"}\n'
    const answers = await converse(control.address, (socket) => socket.write(request.repeat(40)))
    expect(JSON.parse(answers.at(-1) ?? '')).toMatchObject({ error: { code: 'INVALID_OPTION' } })
  })

  it('from the other side breaks the client’s connection, not its process', async () => {
    for (const said of [
      'no json\n',
      '7\n',
      '{"id":null,"error":{"code":"CLOSED","message":"bye"}}\n',
    ]) {
      const server = createServer((socket) => {
        socket.on('error', () => undefined).resume()
        socket.write(said)
      })
      const address = join(directory, 'control.sock')
      await new Promise<void>((resolve) => server.listen(address, resolve))
      const client = await ControlClient.connect(directory)
      await expect(client?.request('status')).rejects.toBeInstanceOf(Error)
      client?.close()
      await new Promise((resolve) => server.close(resolve))
    }
  })

  it('has a bound on connections', async () => {
    const { control, client } = await started()
    const sockets = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = connect(control.address).on('error', () => undefined)
        await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
        return socket
      }),
    )
    expect(await client.request('status')).toEqual(book.stats())
    for (const socket of sockets) socket.destroy()
  })
})

describe('the socket', () => {
  it('is for its user only, and gone after closing', async () => {
    const { control } = await started()
    expect(statSync(control.address).mode & 0o777).toBe(0o600)
    await control.close()
    expect(existsSync(control.address)).toBe(false)
  })

  it('replaces what a killed process left', async () => {
    writeFileSync(join(directory, 'control.sock'), '')
    const { client } = await started()
    expect(await client.request('status')).toEqual(book.stats())
  })

  it('is not there where nobody runs', async () => {
    expect(await ControlClient.connect(directory)).toBeUndefined()
    expect(await ControlClient.connect(join(directory, 'no such directory'))).toBeUndefined()
  })

  it('lives in a private place of its own where the path is too long for the kernel', async () => {
    const long = join(directory, 'x'.repeat(120))
    mkdirSync(long)
    const { control, client } = await started(long)
    expect(control.address.length).toBeLessThan(104)
    expect(statSync(join(control.address, '..')).mode & 0o777).toBe(0o700)
    expect(await client.request('status')).toEqual(book.stats())
    // A crash leaves both; the next process takes them away.
    const again = await start(long)
    expect(again.address).not.toBe(control.address)
    expect(existsSync(control.address)).toBe(false)
    await again.close()
    expect(existsSync(again.address)).toBe(false)
    expect(existsSync(join(long, 'control.json'))).toBe(false)
  })

  it.each(['{', '{"socket":7}', '{"socket":"/etc/passwd"}'])(
    'is not looked for where %s points',
    async (text) => {
      const long = join(directory, 'x'.repeat(120))
      mkdirSync(long)
      writeFileSync(join(long, 'control.json'), text)
      expect(await ControlClient.connect(long)).toBeUndefined()
      const { client } = await started(long)
      expect(await client.request('status')).toEqual(book.stats())
    },
  )

  it('that cannot be made is an error, and leaves nothing', async () => {
    await expect(start(join(directory, 'missing'))).rejects.toMatchObject({
      code: expect.any(String) as string,
    })
    expect(await ControlClient.connect(directory)).toBeUndefined()
  })

  it('that cannot be used says so', async () => {
    symlinkSync(join(directory, 'control.sock'), join(directory, 'control.sock'))
    await expect(ControlClient.connect(directory)).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
    })
  })

  it('points to nothing but itself', async () => {
    const long = join(directory, 'x'.repeat(120))
    mkdirSync(long)
    const { control } = await started(long)
    expect(JSON.parse(readFileSync(join(long, 'control.json'), 'utf8'))).toEqual({
      socket: control.address,
    })
  })
})
