/**
 * Every state that a crash can leave, at every moment of a history, and at every moment of the recovery from it.
 *
 * The history runs once. At each moment the disk, the database and the ledger are copied; afterwards each case of what
 * the disk may have kept is recovered from, and the moments of that recovery are crashed at in turn.
 */

import { MemoryFiles } from '../../src/testing/memory-files.ts'
import { MemoryGrade, type Snapshot } from '../database.ts'
import type { History } from './histories.ts'
import { Ledger } from './ledger.ts'
import { lanes, Run } from './run.ts'
import { crashFates, roughVariantsOf, variantsOf, type Variant } from './variants.ts'

interface Moment {
  readonly files: MemoryFiles
  readonly database: Snapshot
  readonly ledger: Ledger
  readonly operation: number
  readonly what: string
}

/** `undefined`: only the process dies. */
interface Crash {
  readonly moment: Moment
  readonly variant: Variant | undefined
}

export interface Failure {
  readonly history: string
  readonly state: number
  readonly crashes: readonly string[]
  readonly error: unknown
}

export interface Exploration {
  readonly history: string
  readonly operations: number
  readonly moments: number
  /** After one crash, and after a second one during the recovery. All were recovered from. */
  readonly states: readonly [number, number]
  readonly failures: readonly Failure[]
}

/** After a second crash only one recovery in so many is gone on with: writing again is a good part of the work. */
const goOnEvery = 4
/** Failures beyond this end the exploration. */
const maxFailures = 10

export interface Scope {
  /** Only this state; others are recovered from only where they lead to it. */
  readonly state?: number | undefined
  /** 1: without crashes during a recovery. Default 2. */
  readonly depth?: 1 | 2
}

export async function explore(history: History, scope: Scope = {}): Promise<Exploration> {
  return new Explorer(history, scope).explore()
}

class Explorer {
  readonly #history: History
  readonly #only: number | undefined
  readonly #depth: 1 | 2
  readonly #database = new MemoryGrade(lanes)
  readonly #failures: Failure[] = []
  readonly #states: [number, number] = [0, 0]

  constructor(history: History, { state, depth = 2 }: Scope) {
    this.#history = history
    this.#only = state
    this.#depth = depth
  }

  async explore(): Promise<Exploration> {
    const empty = this.#database.snapshot()
    const moments: Moment[] = []
    const run = this.#run(new MemoryFiles(), new Ledger(), 0)
    run.onMoment = () => moments.push(this.#momentOf(run))
    await run.drive(this.#history.run(run), this.#history.name)
    run.end()
    for (const moment of [this.#first(empty), ...moments]) {
      for (const crash of crashesAt(moment)) {
        if (this.#isOver()) break
        await this.#recover([crash])
      }
    }
    return {
      history: this.#history.name,
      operations: run.operations,
      moments: moments.length,
      states: this.#states,
      failures: this.#failures,
    }
  }

  /** Recovers from the last of the crashes; the ones before it led there. */
  async #recover(crashes: readonly [Crash, ...Crash[]]): Promise<void> {
    const depth = crashes.length
    const state = this.#states[0] + this.#states[1]
    this.#states[depth === 1 ? 0 : 1]++
    const isWanted = this.#only === undefined || this.#only === state
    if (!isWanted && depth > 1) return
    const { moment, variant } = crashes.at(-1) as Crash
    moment.database.restore()
    const files = moment.files.fork()
    const left = variant === undefined ? files : files.powerLoss(crashFates(variant))
    const run = this.#run(left, moment.ledger.copy(), state + 1)
    const next: Moment[] = []
    if (depth < this.#depth) run.onMoment = () => next.push(this.#momentOf(run))
    try {
      await run.drive(run.recover(), 'the recovery')
      run.onMoment = () => undefined
      if (depth === 1 || state % goOnEvery === 0) {
        await run.drive(run.goOn(), 'what comes after the recovery')
      }
    } catch (error) {
      if (isWanted) {
        this.#failures.push({
          history: this.#history.name,
          state,
          crashes: crashes.map(textOf),
          error,
        })
      }
    }
    run.end()
    for (const moment of next) {
      for (const variant of roughVariantsOf(moment.files.unsynced())) {
        if (this.#isOver()) return
        await this.#recover([...crashes, { moment, variant }])
      }
    }
  }

  #isOver(): boolean {
    return this.#failures.length >= (this.#only === undefined ? maxFailures : 1)
  }

  #run(files: MemoryFiles, ledger: Ledger, seed: number): Run {
    return new Run(files, this.#database, ledger, this.#history.options ?? {}, seed)
  }

  #momentOf(run: Run): Moment {
    return {
      files: run.files.fork(),
      database: this.#database.snapshot(),
      ledger: run.ledger.copy(),
      operation: run.operations,
      what: run.lastOperation,
    }
  }

  #first(database: Snapshot): Moment {
    return {
      files: new MemoryFiles(),
      database,
      ledger: new Ledger(),
      operation: 0,
      what: 'nothing',
    }
  }
}

/** The process dies, or the machine with all that the disk may have kept. Where all is synced that is one and the same. */
function crashesAt(moment: Moment): Crash[] {
  const unsynced = moment.files.unsynced()
  const kill: Crash = { moment, variant: undefined }
  if (unsynced.length === 0) return [kill]
  return [kill, ...variantsOf(unsynced).map((variant) => ({ moment, variant }))]
}

function textOf({ moment, variant }: Crash): string {
  const { operation, what, files } = moment
  const kept = files.unsynced().map((unsynced, at) => {
    const place = 'path' in unsynced ? unsynced.path : `${unsynced.directory}/${unsynced.name}`
    return `\n    ${unsynced.kind} ${place}: ${variant?.[at] ?? 'unsynced'}`
  })
  const how = variant === undefined ? 'the process dies' : 'the power is cut'
  return `after operation ${operation}, ${what}, ${how}${kept.join('')}`
}
