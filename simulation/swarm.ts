/**
 * What a seed is: the shape of its world, drawn at random. Most kinds of fault are off in most seeds, and those that are
 * on come often: bugs hide behind faults that never come together, and behind faults that always do ("swarm testing",
 * Groce et al., ISSTA 2012).
 */

import { Chance } from './chance.ts'
import type { DatabaseFaultRates } from './database-faults.ts'
import { syncProfiles, type DiskFaultRates } from './disk-faults.ts'
import { operationsOf, type Operation, type OperationKind } from './workload.ts'

export type Grade = 'memory' | 'sqlite'

export interface EngineOptions {
  readonly lanes: number
  readonly segmentBytes: number
  readonly batchBytes: number
  readonly journalMaxBytes: number
  readonly retainBytes: number
  readonly delayMs: number
  readonly retryMaxMs: number
  readonly maxKeys: number
  readonly maxBytes: number
  readonly maxRowsPerSecond: number | undefined
  readonly memoryBytes: number
  readonly cacheBytes: number
  readonly policy: 'wait' | 'reject' | 'through'
  readonly waitMs: number
  readonly usersTtlMs: number | undefined
  readonly sessionsTtlMs: number
}

/** Mean number of events between two of each; Infinity: never. */
export interface Disasters {
  readonly kill: number
  readonly powerLoss: number
  readonly restart: number
  readonly databaseDown: number
  readonly databaseGoesBack: number
  readonly diskFull: number
  readonly clockJump: number
  readonly freeze: number
  readonly takeOver: number
  readonly secondProcess: number
  readonly corruption: number
}

export interface Swarm {
  readonly seed: number
  readonly grade: Grade
  readonly engine: EngineOptions
  readonly clients: number
  readonly operations: readonly Operation[]
  readonly disasters: Disasters
  readonly disk: DiskFaultRates
  readonly database: DatabaseFaultRates
  /** How long it stays away. */
  readonly downMs: number
  /** Kinds of faults and disasters that are on. */
  readonly active: readonly string[]
}

/** Kinds of disasters and faults that a run may be told to leave out: what a failing seed is shortened by. */
export type Without = ReadonlySet<string>

export function swarmOf(seed: number, grade: Grade, without: Without = new Set()): Swarm {
  const chance = new Chance(seed).stream('swarm')
  const active: string[] = []
  const isOn = (name: string, hit: boolean): boolean => {
    if (!hit || without.has(name)) return false
    active.push(name)
    return true
  }
  const on = (name: string, probability: number, value: number): number =>
    isOn(name, chance.stream(name).hits(probability)) ? value : 0
  const every = (name: string, probability: number, low: number, high: number): number => {
    const own = chance.stream(name)
    const hit = own.hits(probability)
    const mean = own.between(low, high)
    return isOn(name, hit) ? mean : Infinity
  }
  const embedded = grade === 'sqlite'
  const takeOver = embedded ? Infinity : every('take-over', 0.2, 60, 400)
  // A stale process and a database that forgets who took over is more than is promised: docs/guarantees.md, G8.
  const goesBack = takeOver < Infinity ? Infinity : every('database goes back', 0.35, 20, 120)
  const profile = chance.stream('profile').pick(syncProfiles)
  const syncFails = on('sync fails', 0.4, 0.03)
  // What was acknowledged by a sync that lied is lost with the power: an honest disk is the condition of G1.
  const downMs = chance.stream('downMs').pick([20, 300, 5000, 600_000])
  const lies = syncFails > 0 && profile === 'ext4-data'
  return {
    seed,
    grade,
    active,
    engine: engineOptions(chance.stream('engine'), embedded, goesBack < Infinity, downMs),
    clients: 1 + chance.stream('clients').below(6),
    operations: workload(seed, chance.stream('workload')),
    disasters: {
      kill: every('kill', 0.55, 40, 400),
      powerLoss: lies ? Infinity : every('power loss', 0.5, 40, 400),
      restart: every('restart', 0.3, 60, 400),
      databaseDown: every('database down', 0.35, 60, 400),
      databaseGoesBack: goesBack,
      diskFull: every('disk full', 0.25, 60, 300),
      clockJump: every('clock jump', 0.25, 50, 300),
      freeze: every('freeze', 0.25, 60, 300),
      takeOver,
      secondProcess: every('second process', 0.2, 60, 300),
      // Its worlds are written back as a whole, which a sync that lied does not survive either.
      corruption: lies ? Infinity : every('corruption', 0.6, 1, 2),
    },
    disk: {
      writeEio: on('write EIO', 0.25, 0.02),
      readEio: on('read EIO', 0.25, 0.03),
      shortWrite: on('short write', 0.2, 0.02),
      full: on('ENOSPC', 0.2, 0.02),
      syncFails,
      profile,
      tooManyFiles: on('EMFILE', 0.25, 0.03),
      nameFails: on('EIO on a name', 0.25, 0.04),
      turns: chance.stream('turns').pick([0, 0.2, 1]),
      stepMs: chance.stream('stepMs').pick([0.1, 1, 5]),
      slow: on('slow disk', 0.2, 0.05),
      slowMs: 400,
    },
    database: {
      outage: on('outage', 0.3, 0.03),
      conflict: on('conflict', 0.3, 0.05),
      lockTimeout: on('lock timeout', 0.3, 0.08),
      diskFull: on('database full', 0.2, 0.05),
      commitLost: on('commit lost', 0.35, 0.12),
      commitNotApplied: on('commit not applied', 0.3, 0.1),
      commitLate: embedded ? 0 : on('commit late', 0.4, 0.15),
      answerLost: embedded ? 0 : on('answer lost', 0.2, 0.04),
      slow: on('slow database', 0.25, 0.06),
      misconfigured: on('misconfigured', 0.2, 0.04),
      latencyMs: embedded ? 0 : chance.stream('latency').pick([0, 0.5, 3, 20]),
      slowMs: chance.stream('slowMs').pick([100, 3000, 20_000]),
      lingerMs: embedded ? 0 : chance.stream('linger').pick([1, 30, 500]),
    },
    downMs,
  }
}

function engineOptions(
  chance: Chance,
  embedded: boolean,
  retains: boolean,
  downMs: number,
): EngineOptions {
  const segmentBytes = chance.pick([16 << 10, 16 << 10, 32 << 10, 64 << 10])
  return {
    lanes: embedded ? 1 : chance.pick([1, 2, 3, 4]),
    segmentBytes,
    batchBytes: chance.pick([4096, 8192, 32 << 10]),
    journalMaxBytes: retains ? 64 << 20 : chance.pick([3 * segmentBytes, 1 << 20]),
    retainBytes: retains ? 32 << 20 : chance.pick([0, segmentBytes]),
    delayMs: chance.pick([0, 1, 5, 50]),
    // A long outage takes few probes, in virtual time as in life.
    retryMaxMs: Math.max(50, downMs / 20),
    maxKeys: chance.pick([1, 2, 5, 5000]),
    maxBytes: chance.pick([1, 1000, 4 << 20]),
    maxRowsPerSecond: chance.hits(0.1) ? chance.pick([20, 200]) : undefined,
    memoryBytes: chance.pick([0, 500, 2000, 16 << 20]),
    cacheBytes: chance.pick([1024, 2000, 1 << 20]),
    policy: chance.pick(['wait', 'wait', 'reject', 'through']),
    waitMs: chance.pick([10, 500, 10_000]),
    usersTtlMs: chance.hits(0.3) ? chance.pick([1, 20]) : undefined,
    sessionsTtlMs: chance.pick([5, 100, 3000]),
  }
}

function workload(seed: number, chance: Chance): Operation[] {
  const some = (probability: number, weight: number): number =>
    chance.hits(probability) ? weight : 0
  const weights: Record<OperationKind, number> = {
    write: 30,
    incrementAndGet: some(0.7, 8),
    update: some(0.6, 6),
    setIfAbsent: some(0.4, 3),
    getOrSet: some(0.3, 3),
    batch: some(0.6, 8),
    get: some(0.9, 16),
    peek: some(0.3, 3),
    has: some(0.3, 2),
    getMany: some(0.4, 4),
    keys: some(0.15, 1),
    invalidate: some(0.5, 4),
    flush: some(0.4, 2),
    persisted: some(0.4, 2),
    pause: some(0.25, 2),
    resume: 2,
    status: 2,
    retry: some(0.6, 3),
    edit: some(0.4, 2),
    discard: some(0.3, 1),
  }
  return operationsOf(
    {
      operations: chance.pick([20, 40, 60, 100]),
      weights,
      caches: {
        users: 6,
        orders: some(0.6, 3),
        sessions: some(0.35, 2),
        notes: some(0.4, 2),
      },
      keys: chance.pick([1, 3, 6]),
      heat: chance.pick([1, 2.5]),
      poison: some(0.4, 0.08),
      email: some(0.6, 0.5),
      parent: some(0.6, 0.5),
      thinkMs: chance.pick([1, 5, 30]),
      padding: chance.pick([0, 20, 3000]),
      durabilities: {
        default: 10,
        memory: some(0.3, 2),
        journal: 1,
        store: some(0.4, 2),
      },
    },
    new Chance(seed).stream('operations'),
  )
}
