/**
 * The file of the dead letters alone, with a compaction: a book compacts only beyond a mebibyte, which is too much for so
 * many states.
 */

import { isDaybookError } from '../../src/base/errors.ts'
import { LineLog } from '../../src/flush/line-log.ts'
import { MemoryFiles } from '../../src/testing/memory-files.ts'
import { Violation } from '../oracle/violation.ts'
import type { Exploration, Failure, Scope } from './explore.ts'
import { crashFates, roughVariantsOf, variantsOf, type Variant } from './variants.ts'

const name = 'letter-file'
const directory = '/book'
const path = `${directory}/dead-letters.log`
const first = 'the first line'

interface Moment {
  readonly files: MemoryFiles
  /** What the file may have: before or after the call that is under way. */
  readonly possible: readonly (readonly string[])[]
  readonly operation: number
  readonly what: string
}

/** One process after another on one disk. */
class LineRun {
  readonly files: MemoryFiles
  #log: LineLog | undefined
  #lines: readonly string[] = []
  #possible: readonly (readonly string[])[]
  #unsynced: number
  operations = 0
  onMoment: (moment: Moment) => void = () => undefined

  constructor(files: MemoryFiles, possible: readonly (readonly string[])[]) {
    this.files = files
    this.#possible = possible
    this.#unsynced = files.unsynced().length
    files.done = (step) => {
      this.operations++
      const unsynced = files.unsynced().length
      if (unsynced === this.#unsynced) return
      this.#unsynced = unsynced
      const what = `${step.kind} ${step.path}`
      const { operations: operation } = this
      this.onMoment({ files: files.fork(), possible: this.#possible, operation, what })
    }
  }

  async open(): Promise<void> {
    await this.files.makeDirectory(directory)
    const lines: string[] = []
    this.#log = await LineLog.open(this.files, path, first, (text) => lines.push(text))
    const [found, ...rest] = lines
    const isPossible = this.#possible.some((texts) => String(texts) === String(rest))
    if (found !== first || !isPossible) {
      const possible = this.#possible.map(String).join(' or ')
      throw new Violation(
        'nothing is dropped in silence',
        `it has ${String(lines)}, not ${possible}`,
      )
    }
    this.#lines = rest
    this.#possible = [rest]
  }

  /** The process dies; the next one finds what it left. */
  next(): LineRun {
    const next = new LineRun(this.files.kill(), this.#possible)
    next.onMoment = this.onMoment
    return next
  }

  append(text: string): Promise<void> {
    return this.#change([...this.#lines, text], (log) => log.append(text))
  }

  replace(texts: readonly string[]): Promise<void> {
    return this.#change(texts, (log) => log.replace([first, ...texts]))
  }

  async #change(
    lines: readonly string[],
    change: (log: LineLog) => Promise<unknown>,
  ): Promise<void> {
    if (this.#log === undefined) throw new Error('the log is not open')
    this.#possible = [this.#lines, lines]
    await change(this.#log)
    this.#lines = lines
    this.#possible = [lines]
  }
}

async function history(run: LineRun): Promise<void> {
  await run.open()
  await run.append('a'.repeat(700))
  await run.append('b')
  await run.append('c'.repeat(90))
  await run.replace(['b', 'd'.repeat(600)])
  await run.append('e')
  await run.replace([])
  await run.append('f'.repeat(50))
  run.files.plan = ({ kind }) =>
    kind === 'sync' ? { code: 'EIO', profile: 'ext4-ordered' } : undefined
  await run.append('g').catch((error: unknown) => {
    if (!isDaybookError(error, 'JOURNAL_FAILED')) throw error
  })
  const next = run.next()
  await next.open()
  await next.append('h'.repeat(1_200))
}

export const letterFile = {
  name,
  about: 'the file of the dead letters: lines, compactions, and a sync that fails',
  explore,
}

async function explore({ state: only }: Scope = {}): Promise<Exploration> {
  const states: [number, number] = [0, 0]
  const failures: Failure[] = []
  const recover = async (
    moment: Moment,
    variant: Variant | undefined,
    crashes: readonly string[],
  ) => {
    const state = states[0] + states[1]
    const depth = crashes.length
    states[depth] = (states[depth] ?? 0) + 1
    if (only !== undefined && only !== state && depth > 0) return
    const files = moment.files.fork()
    const left = variant === undefined ? files : files.powerLoss(crashFates(variant))
    const run = new LineRun(left, moment.possible)
    const next: Moment[] = []
    if (depth === 0) run.onMoment = (later) => next.push(later)
    const led = [...crashes, textOf(moment, variant)]
    try {
      await run.open()
      await run.append('after')
    } catch (error) {
      if (only === undefined || only === state)
        failures.push({ history: name, state, crashes: led, error })
    }
    for (const later of next) {
      for (const rough of roughVariantsOf(later.files.unsynced())) await recover(later, rough, led)
    }
  }
  const run = new LineRun(new MemoryFiles(), [[]])
  const moments: Moment[] = []
  run.onMoment = (moment) => moments.push(moment)
  await history(run)
  for (const moment of moments) {
    const unsynced = moment.files.unsynced()
    const variants = unsynced.length === 0 ? [undefined] : [undefined, ...variantsOf(unsynced)]
    for (const variant of variants) await recover(moment, variant, [])
  }
  return { history: name, operations: run.operations, moments: moments.length, states, failures }
}

function textOf({ operation, what }: Moment, variant: Variant | undefined): string {
  return `after operation ${operation}, ${what}: ${variant?.join(', ') ?? 'the process dies'}`
}
