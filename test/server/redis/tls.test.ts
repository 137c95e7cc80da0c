/** TLS on the Redis port, with certificates that openssl makes for the test. */

import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { createClient } from 'redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readRedisOptions } from '../../../src/server/redis/options.ts'
import { RawClient, served, temporaryDirectory } from './redis-fixture.ts'
import { toolUnavailable } from './redis-tools.ts'

const run = promisify(execFile)

interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Signed by itself, for this machine. */
function certificate(name: string, directory = temporaryDirectory()): Certificate {
  const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'],
      ...['-keyout', key, '-out', cert],
    ],
    { stdio: 'ignore' },
  )
  return { cert, key }
}

/** Resolves once the handshake is complete. */
function secured(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, ...options })
    onTestFinished(() => void socket.destroy())
    socket.once('secureConnect', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** What comes in answer to PING, or the reason why nothing does. */
function pinged(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString()))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)))
    socket.once('close', () => resolve('closed'))
    socket.write('PING\r\n')
  })
}

const noOpenssl = toolUnavailable('openssl', ['version'])

describe.skipIf(noOpenssl !== undefined)(`TLS (${noOpenssl ?? 'openssl'})`, () => {
  test('is spoken by node-redis and redis-cli', async (context) => {
    const tls = certificate('server')
    const { redis } = await served({ redis: { tls } })
    const client = createClient({
      url: `rediss://127.0.0.1:${redis.port}`,
      socket: { tls: true, ca: readFileSync(tls.cert) },
    })
    await client.connect()
    onTestFinished(() => client.destroy())
    const value = 'x'.repeat(300_000)
    expect(await client.set('a', value)).toBe('OK')
    expect(await client.get('a')).toBe(value)

    context.skip(toolUnavailable('redis-cli') !== undefined, toolUnavailable('redis-cli'))
    const cli = ['-h', '127.0.0.1', '-p', String(redis.port), '--tls', '--cacert', tls.cert]
    expect((await run('redis-cli', [...cli, 'strlen', 'a'])).stdout).toBe('300000\n')
  })

  test('answers a client that says it is done, and one that comes in single bytes', async () => {
    const tls = certificate('server')
    const { redis } = await served({ redis: { tls } })
    const socket = await secured(redis.port, { ca: readFileSync(tls.cert) })
    let received = ''
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()))
    for (const byte of 'PING\r\nECHO hi\r\n') socket.write(byte)
    const ended = new Promise((resolve) => socket.once('end', resolve))
    socket.end()
    await ended
    expect(received).toBe('+PONG\r\n$2\r\nhi\r\n')
  })

  test('ends a client that speaks plain text, and goes on with others', async () => {
    const tls = certificate('server')
    const { redis } = await served({ redis: { tls } })
    const plain = await RawClient.connect(redis.port)
    onTestFinished(() => plain.destroy())
    plain.send('PING')
    // No reply: at most an alert of TLS.
    expect(await plain.untilEnd()).not.toContain('PONG')
    expect(await pinged(await secured(redis.port, { ca: readFileSync(tls.cert) }))).toBe(
      '+PONG\r\n',
    )
  })

  test('that comes to a plain port is ended at once', async () => {
    const { redis } = await served()
    await expect(secured(redis.port, {})).rejects.toThrow()
    const silent = await RawClient.connect(redis.port)
    onTestFinished(() => silent.destroy())
    // The first bytes of a handshake, without anything that ends a line.
    silent.write('\u0016\u0003\u0001\u0002\u0000\u0001\u0000')
    expect(await silent.untilEnd()).toMatch(/^-ERR Protocol error: TLS/)
  })

  test('in records that are an error and what follows it ends that client alone', async () => {
    const tls = certificate('server')
    const { redis } = await served({ redis: { tls } })
    const options = { ca: readFileSync(tls.cert) }
    const hostile = await secured(redis.port, options)
    // The server reads both records at once, and the second one when the first has already been found wrong.
    hostile.setMaxSendFragment(512)
    hostile.write(`${'PING\r\n'.repeat(8)}*3\r\n$3\r\nSET\r\n$-5\r\n${'x'.repeat(800)}`)
    const closed = once(hostile, 'close')
    hostile.resume()
    await closed
    expect(await pinged(await secured(redis.port, options))).toBe('+PONG\r\n')
  })

  test('with `ca` is for clients that show a certificate', async () => {
    const [tls, known, stranger] = ['server', 'known', 'stranger'].map((name) => certificate(name))
    const { redis } = await served({ redis: { tls: { ...tls, ca: known?.cert } } })
    const as = async (own: Certificate | undefined): Promise<string> => {
      const socket = await secured(redis.port, {
        ca: readFileSync(tls?.cert ?? ''),
        ...(own === undefined ? {} : { cert: readFileSync(own.cert), key: readFileSync(own.key) }),
      })
      return pinged(socket)
    }
    expect(await as(known)).toBe('+PONG\r\n')
    expect(await as(undefined)).not.toContain('PONG')
    expect(await as(stranger)).not.toContain('PONG')
  })

  test('takes a renewed certificate over without a restart, and refuses one that is none', async () => {
    const directory = temporaryDirectory()
    const tls = certificate('server', directory)
    const { redis } = await served({ redis: { tls } })
    const nameOf = async (): Promise<unknown> => {
      const socket = await secured(redis.port, { rejectUnauthorized: false })
      return socket.getPeerCertificate().subject.CN
    }
    expect(await nameOf()).toBe('server')
    const renewed = certificate('renewed', directory)
    copyFileSync(renewed.cert, tls.cert)
    copyFileSync(renewed.key, tls.key)
    const takeOver = await redis.prepare(readRedisOptions({ tls }))
    expect(await nameOf()).toBe('server')
    takeOver()
    expect(await nameOf()).toBe('renewed')
    const gone = { ...tls, cert: join(directory, 'gone.crt') }
    await expect(redis.prepare(readRedisOptions({ tls: gone }))).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      details: { path: 'redis.tls.cert' },
    })
    copyFileSync(tls.key, tls.cert)
    await expect(redis.prepare(readRedisOptions({ tls }))).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
    expect(await nameOf()).toBe('renewed')
  })

  test('gives up handshakes that do not end: after a while, and when the server closes', async () => {
    const tls = certificate('server')
    const first = await served({ redis: { tls, authTimeoutMs: 200 } })
    const slow = await RawClient.connect(first.redis.port)
    onTestFinished(() => slow.destroy())
    await slow.untilEnd()

    const second = await served({ redis: { tls, authTimeoutMs: 86_400_000 } })
    const silent = connectPlain(second.redis.port, '127.0.0.1')
    const closed = new Promise((resolve) => silent.once('close', resolve))
    await new Promise((resolve) => silent.once('connect', resolve))
    await second.stop()
    await closed
  })
})
