import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../../src/base/clock.ts'
import { latin1Of } from '../../../../src/server/redis/latin1.ts'
import { Wire, wireMemory } from '../../../../src/server/redis/sockets/wire.ts'

const capacityBytes = 1024

/** Both ends in this thread: what one puts is what the other one gets. */
function wires(): {
  readonly server: Wire
  readonly sockets: Wire
  readonly atServer: string[]
  readonly atSockets: string[]
  readonly rooms: () => number
} {
  const memory = wireMemory(capacityBytes)
  const [server, sockets] = [
    new Wire(memory, 'server', systemClock),
    new Wire(memory, 'sockets', systemClock),
  ]
  const [atServer, atSockets]: string[][] = [[], []]
  let rooms = 0
  const to =
    (list: string[] | undefined) =>
    (kind: number, connection: number, detail: number, from: Buffer, at: number, n: number): void =>
      void list?.push(`${kind} ${connection} ${detail} ${latin1Of(from, at, at + n)}`)
  server.carry({ frame: to(atServer), room: () => undefined })
  sockets.carry({ frame: to(atSockets), room: () => rooms++ })
  onTestFinished(() => {
    server.close()
    sockets.close()
  })
  return {
    server,
    sockets,
    atServer: atServer ?? [],
    atSockets: atSockets ?? [],
    rooms: () => rooms,
  }
}

describe('a wire', () => {
  test('wakes a side that sleeps, again and again, in both directions', async () => {
    const { server, sockets, atServer, atSockets } = wires()
    for (let n = 0; n < 100; n++) {
      sockets.put(2, n, 0, 'question')
      await expect.poll(() => atServer.length, { interval: 1 }).toBe(n + 1)
      server.put(1, n, 0, 'answer')
      await expect.poll(() => atSockets.length, { interval: 1 }).toBe(n + 1)
    }
    expect(atServer.at(-1)).toBe('2 99 0 question')
    expect(atSockets.at(-1)).toBe('1 99 0 answer')
  })

  test('keeps what finds no room, in order, and tells when all of it is in', async () => {
    const { sockets, atServer, rooms } = wires()
    const expected: string[] = []
    const put: boolean[] = []
    for (let n = 0; n < 1000; n++) {
      put.push(sockets.put(2, n, -n, Buffer.from(`chunk ${n}`)))
      expected.push(`2 ${n} ${-n} chunk ${n}`)
    }
    expect(put[0]).toBe(true)
    expect(put.at(-1)).toBe(false)
    await expect.poll(() => atServer.length).toBe(1000)
    expect(atServer).toEqual(expected)
    await expect.poll(rooms).toBe(1)
    expect(sockets.put(2, 0, 0, 'again')).toBe(true)
  })

  test('brings what is longer than the memory in parts', async () => {
    const { server, sockets, atServer, atSockets } = wires()
    const long = Array.from({ length: 3000 }, (_, n) => String.fromCharCode(n % 256)).join('')
    server.put(1, 5, 0, long)
    sockets.put(2, 6, 0, Buffer.from(long, 'latin1'))
    const joined = (list: string[], head: string): string =>
      list.map((frame) => frame.slice(head.length)).join('')
    await expect.poll(() => joined(atSockets, '1 5 0 ').length).toBe(long.length)
    await expect.poll(() => joined(atServer, '2 6 0 ').length).toBe(long.length)
    expect(joined(atSockets, '1 5 0 ')).toBe(long)
    expect(joined(atServer, '2 6 0 ')).toBe(long)
    expect(atServer.length).toBeGreaterThan(20)
  })

  test('carries nothing any more once it is closed', async () => {
    const { server, sockets, atServer, atSockets } = wires()
    sockets.close()
    server.put(1, 1, 0, 'late')
    sockets.put(2, 1, 0, 'still there')
    await expect.poll(() => atServer).toEqual(['2 1 0 still there'])
    expect(atSockets).toEqual([])
  })
})
