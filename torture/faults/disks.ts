/** Disks that fail, and disks that are full. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { holdSmallDisk } from '../../test/recovery/small-disk.ts'
import { OrderError } from '../../test/support/ordered-process.ts'
import { injected, underStrace, type Injection } from '../../test/support/strace.ts'
import type { Cycle } from '../cycle.ts'
import type { Fault, Strike } from '../fault.ts'
import { within, type WriterProcess } from '../writer-process.ts'

const writes = 400
/** A book does not open on a disk that fails. Never would it say that the journal is damaged. */
const openFailures: readonly string[] = [
  ...['DIRECTORY_UNUSABLE', 'JOURNAL_FAILED', 'JOURNAL_FULL'],
  ...['STORE_UNAVAILABLE', 'UNKNOWN'],
]

export const syncError: Fault = {
  name: 'sync-error',
  about: 'fdatasync or fsync fails with EIO, once or from then on',
  stores: ['sqlite', 'postgres'],
  needs: 'strace',
  run(cycle) {
    const call = cycle.pick(['fdatasync', 'fdatasync', 'fsync'])
    const at = cycle.between(1, call === 'fsync' ? 6 : 15)
    return fail(cycle, { call, effect: 'EIO', when: `${at}${cycle.pick(['', '+'])}` })
  },
}

export const writeError: Fault = {
  name: 'write-error',
  about: 'pwrite64 fails with EIO, once or from then on',
  stores: ['sqlite', 'postgres'],
  needs: 'strace',
  run(cycle) {
    const when = `${cycle.between(1, 20)}${cycle.pick(['', '+'])}`
    return fail(cycle, { call: 'pwrite64', effect: 'EIO', when })
  },
}

export const noSpace: Fault = {
  name: 'no-space',
  about: 'pwrite64 fails with ENOSPC for a while',
  stores: ['sqlite', 'postgres'],
  needs: 'strace',
  run(cycle) {
    const from = cycle.between(1, 20)
    const when = `${from}..${from + cycle.between(0, 5)}`
    return fail(cycle, { call: 'pwrite64', effect: 'ENOSPC', when })
  },
}

/** A writer under strace; it is killed in the end, or asked to end. */
async function fail(cycle: Cycle, injection: Injection): Promise<Strike> {
  const { call, effect, when } = injection
  const often = when.endsWith('+') ? 'for good' : when.includes('..') ? 'for a while' : 'once'
  const point = `${call} ${effect} ${often}`
  cycle.phase(`${point}, ${when}`)
  const log = join(cycle.directory, 'strace.log')
  const writer = cycle.start(
    { openTimeoutMs: 1_500, drainTimeoutMs: 300 },
    underStrace(injection, log),
  )
  try {
    await cycle.opened(writer)
    await within('Writing', cycle.write(writer, writes))
    await within('Ending', cycle.chance(0.5) ? writer.terminate() : writer.kill())
  } catch (error) {
    if (!(error instanceof OrderError) || !openFailures.includes(error.code)) throw error
  }
  await writer.ended()
  await cycle.look()
  return { fired: injected(log) > 0, point }
}

export const diskFull: Fault = {
  name: 'disk-full',
  about: 'the directory is on a file system of 4 MiB that is full, and later has space again',
  stores: ['sqlite', 'postgres'],
  needs: 'mount',
  async run(cycle) {
    const point = cycle.pick(['space returns', 'killed', 'closed'])
    cycle.phase(point)
    const mounted = join(cycle.directory, 'disk')
    mkdirSync(mounted)
    const disk = await holdSmallDisk(mounted)
    cycle.onCleanUp(() => disk.release())
    const directory = join(mounted, 'book')
    const ballast = join(disk.path, 'ballast')
    const policy = cycle.pick(['wait', 'reject'])
    const options = { directory, pressure: { policy, waitMs: 20_000 } }
    // Nothing is flushed and trimmed, so the disk stays full.
    const writer = await cycle.open({ ...options, flush: { delayMs: 60_000 } }, disk.command)
    await within('Writing', cycle.write(writer, cycle.between(1, 60)))
    fill(ballast)
    const writing = cycle.write(writer, 1_500)
    await writer.whenSaid('journalFull')
    const fired = writer.events.includes('journalFull')
    if (policy === 'reject') await writer.whenRefused(cycle.between(1, 40))
    if (point === 'space returns') {
      rmSync(ballast)
      await writer.whenSaid('journalRecovered')
      await within('Writing', writing)
      const before = writer.acknowledged
      await within('Writing', cycle.write(writer, 30))
      cycle.expect(writer.acknowledged === before + 30, 'all is accepted when space has returned')
    }
    if (point === 'closed') await within('Closing', end(writer))
    else await within('Killing', writer.kill())
    await cycle.look()
    // Recovered on a disk that is still full: what is pending needs no space to get to the database.
    cycle.phase(`${point}, then recovered`)
    const next = await cycle.open({ ...options, pressure: { policy: 'reject' } }, disk.command)
    await within('Draining', next.order({ do: 'flush' }))
    await within('Killing', next.kill())
    rmSync(ballast, { force: true })
    cycle.settleAt({ directory }, disk.command)
    return { fired, point }
  },
}

async function end(writer: WriterProcess): Promise<void> {
  const { code } = await writer.terminate()
  if (code !== 0) throw new Error(`a process that was asked to end has ended with ${code}`)
}

function fill(path: string): void {
  const block = Buffer.alloc(4096)
  try {
    for (;;) writeFileSync(path, block, { flag: 'a' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
