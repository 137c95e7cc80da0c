/**
 * Goal: what a client was told is true, however the server ends.
 * Method: `daybook serve` in a process of its own is killed with SIGKILL while clients write, and started anew; every write
 * that was acknowledged must be there, transactions as a whole, and the database in the end must say the same.
 */

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { ServeProcess } from '../serve-process.ts'
import { RawClient, requestOf, temporaryDirectory } from './redis-fixture.ts'
import { freePort } from './redis-tools.ts'

describe('a server that is killed', () => {
  test('has every write that it acknowledged', { timeout: 180_000 }, async () => {
    const directory = temporaryDirectory()
    const port = await freePort()
    /** By key: the newest value that was acknowledged, and the newest that was sent. */
    const acknowledged = new Map<string, number>()
    const sent = new Map<string, number>()
    let value = 0
    for (let round = 0; round < 3; round++) {
      const server = await ServeProcess.redis(directory, port)
      const clients = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect(port)))
      const write = async (client: RawClient, name: string): Promise<void> => {
        for (;;) {
          const batch = Array.from({ length: 16 }, (_, n) => [`${name}:${n}`, ++value] as const)
          client.write(batch.map(([key, number]) => requestOf(['SET', key, number])).join(''))
          for (const [key, number] of batch) sent.set(key, number)
          for (const [key, number] of batch) {
            expect(await client.reply()).toBe('OK')
            acknowledged.set(key, number)
          }
        }
      }
      const writing = clients.map((client, n) => write(client, `c${n}`).catch(() => undefined))
      const least = value + 2000
      await expect.poll(() => value, { timeout: 60_000 }).toBeGreaterThan(least)
      await server.kill()
      await Promise.all(writing)
      for (const client of clients) client.destroy()

      const after = await ServeProcess.redis(directory, port)
      const reader = await RawClient.connect(port)
      for (const [key, number] of acknowledged) {
        const found = Number(await reader.call('GET', key))
        // What was sent and not acknowledged may have come to be, too.
        expect(found).toBeGreaterThanOrEqual(number)
        expect(found).toBeLessThanOrEqual(sent.get(key) ?? 0)
        acknowledged.set(key, found)
      }
      expect(await reader.call('WAIT', 1, 30_000)).toBe(1)
      const database = new DatabaseSync(join(directory, 'store.sqlite'), { readOnly: true })
      const rows = database.prepare('SELECT key, value FROM daybook_values').all()
      database.close()
      expect(new Map(rows.map((row) => [row.key, Number(JSON.parse(String(row.value)))]))).toEqual(
        acknowledged,
      )
      reader.destroy()
      await after.kill()
    }
  })

  test('has transactions as a whole, or not at all', { timeout: 180_000 }, async () => {
    const directory = temporaryDirectory()
    const port = await freePort()
    let told = 0
    for (let round = 0; round < 3; round++) {
      const server = await ServeProcess.redis(directory, port)
      const client = await RawClient.connect(port)
      const move = async (): Promise<void> => {
        for (;;) {
          for (let n = 0; n < 8; n++) {
            for (const words of [
              ['MULTI'],
              ['INCR', 'left'],
              ['HINCRBY', 'right', 'sum', 1],
              ['EXEC'],
            ]) {
              client.send(...words)
            }
          }
          for (let n = 0; n < 8; n++) {
            for (let reply = 0; reply < 3; reply++) await client.reply()
            const [left, right] = (await client.reply()) as [number, number]
            expect(left).toBe(right)
            told = left
          }
        }
      }
      const moving = move().catch(() => undefined)
      const least = told + 200
      await expect.poll(() => told, { timeout: 60_000 }).toBeGreaterThan(least)
      await server.kill()
      await moving
      client.destroy()

      const after = await ServeProcess.redis(directory, port)
      const reader = await RawClient.connect(port)
      const left = Number(await reader.call('GET', 'left'))
      expect(Number(await reader.call('HGET', 'right', 'sum'))).toBe(left)
      expect(left).toBeGreaterThanOrEqual(told)
      told = left
      reader.destroy()
      await after.kill()
    }
  })

  test('has its databases where the last SWAPDB put them', { timeout: 180_000 }, async () => {
    const directory = temporaryDirectory()
    const port = await freePort()
    let server = await ServeProcess.redis(directory, port)
    let client = await RawClient.connect(port)
    /** Of the two databases by name, 0 first: the newest number that was acknowledged. */
    let [front, back] = [
      { name: 'A', number: 0 },
      { name: 'B', number: 0 },
    ]
    for (const database of [front, back]) {
      await client.call('SELECT', database === front ? 0 : 1)
      await client.call('MSET', 'name', database.name, 'number', 0)
    }
    await client.call('SELECT', 0)
    for (let round = 0; round < 3; round++) {
      let swaps = 0
      let swapping = false
      const work = async (): Promise<void> => {
        for (;;) {
          for (let n = 0; n < 4; n++) {
            expect(await client.call('INCR', 'number')).toBe(front.number + 1)
            front.number++
          }
          swapping = true
          expect(await client.call('SWAPDB', 0, 1)).toBe('OK')
          swapping = false
          ;[front, back] = [back, front]
          swaps++
        }
      }
      const working = work().catch(() => undefined)
      await expect.poll(() => swaps, { timeout: 60_000 }).toBeGreaterThan(20)
      await server.kill()
      await working
      client.destroy()

      server = await ServeProcess.redis(directory, port)
      client = await RawClient.connect(port)
      // What was not acknowledged may have come to be, too: one swap, or one number.
      const isSwapped = (await client.call('GET', 'name')) !== front.name
      expect(isSwapped && !swapping).toBe(false)
      if (isSwapped) [front, back] = [back, front]
      for (const [index, database] of [front, back].entries()) {
        await client.call('SELECT', index)
        expect(await client.call('GET', 'name')).toBe(database.name)
        const number = Number(await client.call('GET', 'number'))
        expect([database.number, database.number + 1]).toContain(number)
        database.number = number
      }
      await client.call('SELECT', 0)
    }
    client.destroy()
    await server.kill()
  })

  test('drains at SIGTERM, and says what is left', { timeout: 60_000 }, async () => {
    const directory = temporaryDirectory()
    const port = await freePort()
    const server = await ServeProcess.redis(directory, port)
    const client = await RawClient.connect(port)
    for (let n = 0; n < 100; n++) client.send('SET', `k${n}`, n)
    for (let n = 0; n < 100; n++) expect(await client.reply()).toBe('OK')
    server.child.kill('SIGTERM')
    expect(await server.ends()).toBe(0)
    expect(await client.untilEnd()).toBe('')
    const database = new DatabaseSync(join(directory, 'store.sqlite'), { readOnly: true })
    expect(database.prepare('SELECT count(*) AS n FROM daybook_values').get()).toMatchObject({
      n: 100,
    })
    database.close()
  })
})
