/** SIGKILL: at any moment, at named steps, at system calls, while recovering, and at COMMIT. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Death } from '../../test/recovery/mortal-files.ts'
import { underStrace, type Injection, type SystemCall } from '../../test/support/strace.ts'
import type { Cycle } from '../cycle.ts'
import type { Fault } from '../fault.ts'
import { within, type WriterProcess } from '../writer-process.ts'

/** Which call of a step a process that opens and writes is sure to come to. */
const steps = {
  writeDurably: 40,
  open: 8,
  zeroFill: 6,
  sync: 6,
  rename: 5,
  syncDirectory: 6,
  close: 6,
  remove: 2,
} as const satisfies Partial<Record<NonNullable<Death['of']>[number], number>>

const calls = {
  fdatasync: 20,
  pwrite64: 30,
  fsync: 8,
  rename: 5,
  unlink: 2,
} as const satisfies Record<SystemCall, number>

/** Enough to come to any of these, and not too much where one is missed. */
const writes = 3_000

export const kill: Fault = {
  name: 'kill',
  about: 'SIGKILL at a random moment, once or twice',
  stores: ['sqlite', 'postgres'],
  async run(cycle) {
    const rounds = cycle.between(1, 2)
    let kills = 0
    for (let round = 0; round < rounds; round++) {
      cycle.phase(`kill ${round + 1} of ${rounds}`)
      const writer = cycle.start()
      if (cycle.chance(0.25)) await delay(cycle.between(20, 400))
      else if (await cycle.openedOrKilled(writer)) {
        void cycle.write(writer)
        await writer.whenAcknowledged(cycle.between(1, 250))
      }
      const { signal } = await within('Killing', writer.kill())
      if (signal === 'SIGKILL') kills++
      await cycle.look()
    }
    return { fired: kills === rounds, point: `${rounds} times` }
  },
}

export const killAtStep: Fault = {
  name: 'kill-at-step',
  about: 'SIGKILL before, in the middle of, or after a named file operation of the journal',
  stores: ['sqlite', 'postgres'],
  async run(cycle) {
    const death = drawDeath(cycle)
    const point = `${death.of?.join() ?? 'any'} ${death.when}`
    cycle.phase(point)
    const writer = cycle.start({ death })
    const died = await writeUntilDead(cycle, writer)
    const { signal } = await within('Killing', writer.kill())
    await cycle.look()
    return { fired: died && signal === 'SIGKILL', point }
  },
}

export const killAtCall: Fault = {
  name: 'kill-at-call',
  about: 'SIGKILL before a system call, or after it and before anyone could be told',
  stores: ['sqlite', 'postgres'],
  needs: 'strace',
  async run(cycle) {
    const call = cycle.pick(['fdatasync', 'fdatasync', 'pwrite64', 'fsync', 'rename', 'unlink'])
    const effect = cycle.pick(['kill', 'stop'])
    const when = String(cycle.between(1, calls[call]))
    const point = `${call} ${effect === 'kill' ? 'before' : 'after'}`
    cycle.phase(`${point}, ${when}`)
    const fired = await strike(cycle, { call, effect, when })
    await cycle.look()
    return { fired, point }
  },
}

export const killRecovery: Fault = {
  name: 'kill-recovery',
  about: 'SIGKILL with much pending, and again in the recovery, and again in the recovery of that',
  stores: ['sqlite', 'postgres'],
  async run(cycle) {
    // Nothing is flushed: all of it has to be recovered.
    const flush = { delayMs: 60_000 }
    const first = await cycle.open({
      flush,
      death: { of: ['writeDurably'], at: cycle.between(5, 40), when: 'half' },
    })
    await writeUntilDead(cycle, first)
    await within('Killing', first.kill())
    const points: string[] = []
    for (const depth of [1, 2]) {
      const death = {
        at: cycle.between(1, 9),
        when: cycle.pick(['before', 'half', 'after']),
      } as const
      cycle.phase(`kill in recovery, ${depth} deep`)
      const recovering = cycle.start({ flush, death })
      if (await cycle.openedOrKilled(recovering)) points.push('too late')
      else points.push(`${death.at}. ${death.when}`)
      await within('Killing', recovering.kill())
    }
    await cycle.look()
    return { fired: !points.includes('too late'), point: '2 deep' }
  },
}

export const killAtCommit: Fault = {
  name: 'kill-at-commit',
  about: 'SIGKILL when COMMIT has been sent; it reaches the server at once, late, or never',
  stores: ['postgres'],
  async run(cycle) {
    const { proxy, url } = await cycle.proxy()
    const point = cycle.pick(['arrives', 'arrives when the next one waits', 'is lost'])
    cycle.phase(point)
    const writer = await cycle.open({ url })
    void cycle.write(writer)
    await writer.whenAcknowledged(cycle.between(1, 200))
    const held = await within('A COMMIT', proxy.hold(/COMMIT/))
    const { signal } = await within('Killing', writer.kill())
    if (point === 'is lost') held.cutServer()
    else if (point === 'arrives') held.release()
    else {
      const next = cycle.start()
      const opening = cycle.opened(next)
      // Its rows are locked by a process that is no more. The server gives up waiting for that after a while, too.
      await Promise.race([cycle.postgres.whenSomeoneWaits(), opening])
      held.release()
      await opening
      await within('Draining', next.order({ do: 'flush' }))
      await within('Killing', next.kill())
    }
    return { fired: signal === 'SIGKILL', point }
  },
}

function drawDeath(cycle: Cycle): Death {
  const step = cycle.pick([
    ...(['writeDurably', 'writeDurably', 'open', 'zeroFill', 'sync'] as const),
    ...(['rename', 'syncDirectory', 'close', 'remove'] as const),
  ])
  const when = step === 'writeDurably' ? cycle.pick(['before', 'half', 'after']) : undefined
  return {
    of: [step],
    at: cycle.between(1, steps[step]),
    when: when ?? cycle.pick(['before', 'after']),
  }
}

/** True where it died, or stands still, by itself. */
async function writeUntilDead(cycle: Cycle, writer: WriterProcess): Promise<boolean> {
  if (await cycle.openedOrKilled(writer)) await within('Writing', cycle.write(writer, writes))
  return writer.gone
}

/** A writer under strace, up to where the injection strikes. */
async function strike(cycle: Cycle, injection: Injection): Promise<boolean> {
  const log = join(cycle.directory, 'strace.log')
  const writer = cycle.start({}, underStrace(injection, log))
  const written = writeUntilDead(cycle, writer)
  if (injection.effect === 'kill') {
    const died = await written
    // strace ends as what it traced has ended.
    const { signal } = await within('Killing', writer.kill())
    return died && signal === 'SIGKILL'
  }
  const stopped = await Promise.race([
    written.then(() => false),
    within('Standing still', standstill(writer, log)),
  ])
  await within('Killing', writer.kill())
  await written
  return stopped
}

/** Resolves when the injected SIGSTOP has been delivered and all threads stand still. */
async function standstill(writer: WriterProcess, log: string): Promise<boolean> {
  while (!writer.gone) {
    const struck = existsSync(log) && readFileSync(log, 'utf8').includes('SIGSTOP')
    if (struck && writer.isStopped()) return true
    await delay(2)
  }
  return false
}
