/** Databases that are away, and connections that break at COMMIT or go silent. */

import type { Cycle } from '../cycle.ts'
import { SqliteDatabase } from '../database.ts'
import type { Fault } from '../fault.ts'
import { within, type WriterProcess } from '../writer-process.ts'

export const closeInOutage: Fault = {
  name: 'close-in-outage',
  about: 'SIGTERM with a deadline while the database is away',
  stores: ['sqlite', 'postgres'],
  async run(cycle) {
    cycle.phase('outage')
    const { url, begin } = await outage(cycle)
    const writer = await cycle.open({ url, drainTimeoutMs: 150 })
    void cycle.write(writer)
    await writer.whenAcknowledged(cycle.between(1, 150))
    const end = await begin()
    const { acknowledged } = writer
    await writer.whenAcknowledged(acknowledged + cycle.between(5, 60))
    const { code } = await within('Closing', writer.terminate())
    cycle.expect(code === 0, `a process that is asked to end ends with 0, not with ${code}`)
    const pending = writer.closed?.pending ?? 0
    await end()
    const next = await cycle.open()
    // Less where a COMMIT in doubt had come to be, or where it has begun to flush.
    cycle.expect(next.pending <= pending, `at most ${pending} are pending, not ${next.pending}`)
    await within('Killing', next.kill())
    return { fired: pending > 0, point: 'deadline passes' }
  },
}

export const serverKill: Fault = {
  name: 'server-kill',
  about: 'the PostgreSQL server is killed with -9 and started again, with or without the writer',
  stores: ['postgres'],
  async run(cycle) {
    const point = cycle.pick(['server', 'server and writer'])
    cycle.phase(point)
    const { server } = cycle.postgres
    const writer = await cycle.open()
    void cycle.write(writer)
    await writer.whenAcknowledged(cycle.between(1, 150))
    let down = true
    const start = async (): Promise<void> => {
      if (down) await within('Starting', server.start())
      down = false
    }
    cycle.onCleanUp(start)
    await within('Killing', server.kill())
    await writer.whenSaid('storeDown')
    const fired = writer.events.includes('storeDown')
    if (point === 'server') {
      await expectAcknowledgements(cycle, writer, 20)
      await start()
      await writer.whenSaid('storeUp')
      await within('Draining', writer.order({ do: 'flush' }))
      await within('Killing', writer.kill())
    } else {
      await within('Killing', writer.kill())
      await start()
    }
    await cycle.look()
    return { fired, point }
  },
}

export const cutBeforeCommit: Fault = {
  name: 'cut-before-commit',
  about: 'the connection breaks before COMMIT reaches the server',
  stores: ['postgres'],
  run: (cycle) => cut(cycle, 'cutBefore'),
}

export const cutAfterCommit: Fault = {
  name: 'cut-after-commit',
  about: 'the connection breaks when COMMIT has reached the server, before its answer is back',
  stores: ['postgres'],
  run: (cycle) => cut(cycle, 'cutAfter'),
}

async function cut(
  cycle: Cycle,
  how: 'cutBefore' | 'cutAfter',
): Promise<{ fired: boolean; point: string }> {
  const { proxy, url } = await cycle.proxy()
  const times = cycle.between(1, 4)
  const writer = await cycle.open({ url })
  const writing = cycle.write(writer)
  for (let cuts = 0; cuts < times; cuts++) {
    cycle.phase(`cut ${cuts + 1} of ${times}`)
    const { acknowledged } = writer
    await writer.whenAcknowledged(acknowledged + cycle.between(1, 60))
    await within('A COMMIT', proxy[how](/COMMIT/))
  }
  // While it finds out what became of it, or a little later.
  const { acknowledged } = writer
  await writer.whenAcknowledged(acknowledged + cycle.between(0, 60))
  await within('Killing', writer.kill())
  await writing
  await cycle.look()
  return { fired: true, point: `${times} times` }
}

export const halfOpen: Fault = {
  name: 'half-open',
  about: 'nothing passes on any connection, and nobody is told; it comes back, breaks, or is left',
  stores: ['postgres'],
  async run(cycle) {
    const { proxy, url } = await cycle.proxy()
    const point = cycle.pick(['comes back', 'breaks', 'is left'])
    cycle.phase(point)
    const writer = await cycle.open({ url })
    void cycle.write(writer)
    await writer.whenAcknowledged(cycle.between(1, 150))
    const fired = proxy.connections > 0
    proxy.stall()
    await expectAcknowledgements(cycle, writer, 20)
    if (point !== 'is left') {
      if (point === 'breaks') proxy.cutAll()
      proxy.resume()
      await writer.whenSaid('flushed')
      await expectAcknowledgements(cycle, writer, 20)
    }
    // A server that was left half-way through a transaction gives up on it by its own clock.
    await within('Killing', writer.kill())
    return { fired, point }
  },
}

/** Writes need no database. */
async function expectAcknowledgements(
  cycle: Cycle,
  writer: WriterProcess,
  count: number,
): Promise<void> {
  const { acknowledged } = writer
  await writer.whenAcknowledged(acknowledged + count)
  cycle.expect(writer.acknowledged >= acknowledged + count, 'writes are acknowledged meanwhile')
}

/** The URL for the writer, and what begins an outage; that resolves with what ends it. */
async function outage(
  cycle: Cycle,
): Promise<{ url: string; begin: () => Promise<() => Promise<void>> }> {
  const { database } = cycle
  if (database instanceof SqliteDatabase) {
    return {
      url: database.url,
      begin: async () => {
        const unlock = await database.lock()
        return async () => unlock()
      },
    }
  }
  const { proxy, url } = await cycle.proxy()
  return {
    url,
    begin: async () => {
      await proxy.refuse()
      return () => proxy.accept()
    },
  }
}
