/** Several processes that believe that a journal is theirs. */

import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { OrderError } from '../../test/support/ordered-process.ts'
import type { Cycle } from '../cycle.ts'
import { SqliteDatabase } from '../database.ts'
import type { Fault } from '../fault.ts'
import { within, type WriterProcess } from '../writer-process.ts'

export const takeOver: Fault = {
  name: 'take-over',
  about: 'SIGSTOP under load for longer than any lease; another one takes over a copy; SIGCONT',
  stores: ['sqlite', 'postgres'],
  async run(cycle) {
    const rounds = cycle.between(1, 2)
    const stale: WriterProcess[] = []
    let directory = cycle.book
    for (let round = 0; round < rounds; round++) {
      cycle.phase(`stop ${round + 1} of ${rounds}`)
      const writer = await cycle.open({ directory })
      void cycle.write(writer)
      await writer.whenAcknowledged(cycle.between(20, 200))
      await stopOutsideTransaction(cycle, writer)
      // The directory itself is still its own.
      if (round === 0) await expectLocked(cycle, directory)
      cycle.stray(writer)
      stale.push(writer)
      const copy = join(cycle.directory, `copy-${round}`)
      cpSync(directory, copy, { recursive: true })
      directory = copy
    }
    cycle.phase('take over')
    const owner = await cycle.open({ directory })
    const writing = cycle.write(owner, cycle.between(50, 200))
    let fenced = 0
    for (const writer of stale) {
      writer.continue()
      await writer.whenSaid('fenced')
      if (writer.events.includes('fenced')) fenced++
    }
    cycle.expect(fenced === stale.length, `${stale.length} stale processes are fenced`)
    await within('Writing', writing)
    for (const writer of stale) {
      const flushed = await within('Flushing', writer.order({ do: 'flush' })).catch(codeOf)
      cycle.expect(flushed === 'FENCED', `a stale process says FENCED, not ${String(flushed)}`)
      await within('Killing', writer.kill())
    }
    await within('Killing', owner.kill())
    cycle.settleAt({ directory })
    return { fired: fenced > 0, point: `${rounds} stale` }
  },
}

export const twoProcesses: Fault = {
  name: 'two-processes',
  about: 'a second process on the directory is refused; when the first is killed, a third has it',
  stores: ['sqlite', 'postgres'],
  async run(cycle) {
    cycle.phase('a second process')
    const first = await cycle.open()
    void cycle.write(first)
    await first.whenAcknowledged(cycle.between(1, 100))
    const refused = await expectLocked(cycle, cycle.book)
    const { acknowledged } = first
    await first.whenAcknowledged(acknowledged + 20)
    cycle.expect(first.acknowledged >= acknowledged + 20, 'the first one has come to no harm')
    await within('Killing', first.kill())
    // At once, for the kernel has let go of its lock.
    const third = await cycle.open()
    void cycle.write(third)
    await third.whenAcknowledged(cycle.between(1, 100))
    await within('Killing', third.kill())
    await cycle.look()
    return { fired: refused, point: 'same directory' }
  },
}

async function expectLocked(cycle: Cycle, directory: string): Promise<boolean> {
  const second = cycle.start({ directory })
  const refused = await within('Opening', second.opened()).catch(codeOf)
  cycle.expect(refused === 'JOURNAL_LOCKED', 'a second process is refused with JOURNAL_LOCKED')
  await within('Killing', second.kill())
  return refused === 'JOURNAL_LOCKED'
}

function codeOf(error: unknown): string {
  return error instanceof OrderError ? error.code : String(error)
}

/**
 * And all that it has said is heard. A process that is stopped in a transaction on SQLite keeps everybody out, for good:
 * there is no server that would give up on it.
 */
async function stopOutsideTransaction(cycle: Cycle, writer: WriterProcess): Promise<void> {
  const { database } = cycle
  writer.stop()
  while (database instanceof SqliteDatabase && database.isLocked()) {
    writer.continue()
    await writer.whenAcknowledged(writer.acknowledged + 1)
    writer.stop()
  }
  // A turn of the loop reads all that is in the pipe, for nothing comes in any more.
  for (let turns = 0; turns < 3; turns++) await turn()
}
