/** What a run tells: a line that lives, or a line for each cycle, and a table at the end. */

import type { CycleResult } from './cycle.ts'
import type { StoreName } from './database.ts'
import type { Fault } from './fault.ts'
import type { ViolationKind } from './oracle.ts'

export interface Planned {
  readonly fault: Fault
  readonly store: StoreName
}

interface Row extends Planned {
  cycles: number
  fired: number
  acknowledged: number
  indeterminate: number
  readonly recoveriesMs: number[]
  readonly violations: Map<ViolationKind, number>
  /** How often it struck where. */
  readonly points: Map<string, number>
}

/** A terminal, or anything else that takes text. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export class Report {
  readonly #rows: readonly Row[]
  readonly #cycles: number
  readonly #output: Output
  readonly #startedAt = performance.now()
  #done = 0
  #violated = 0

  constructor(planned: readonly Planned[], cycles: number, output: Output) {
    this.#cycles = cycles
    this.#output = output
    this.#rows = planned.map((plan) => ({
      ...plan,
      cycles: 0,
      fired: 0,
      acknowledged: 0,
      indeterminate: 0,
      recoveriesMs: [],
      violations: new Map<ViolationKind, number>(),
      points: new Map<string, number>(),
    }))
  }

  line(text = ''): void {
    if (this.#output.isTTY) this.#output.write('\r\x1b[K')
    this.#output.write(`${text}\n`)
  }

  /** Only where there is someone to see it. */
  live({ fault, store }: Planned, phase: string): void {
    if (!this.#output.isTTY) return
    const seconds = (performance.now() - this.#startedAt) / 1000
    const rate = this.#done / seconds
    const left = rate === 0 ? '' : `, ${clock((this.#cycles - this.#done) / rate)} left`
    const text = `cycle ${this.#done + 1}/${this.#cycles}, ${rate.toFixed(2)}/s${left}: ${store} ${fault.name}: ${phase}`
    this.#output.write(`\r\x1b[K${text.slice(0, (this.#output.columns ?? 80) - 1)}`)
  }

  add(plan: Planned, seed: number, result: CycleResult): void {
    const row = this.#rows.find(({ fault, store }) => fault === plan.fault && store === plan.store)
    if (row === undefined) throw new Error('a cycle was not planned')
    this.#done++
    row.cycles++
    if (result.fired) row.fired++
    row.acknowledged += result.acknowledged
    row.indeterminate += result.indeterminate
    row.recoveriesMs.push(...result.recoveriesMs)
    if (result.fired) row.points.set(result.point, (row.points.get(result.point) ?? 0) + 1)
    for (const { kind } of result.violations) {
      row.violations.set(kind, (row.violations.get(kind) ?? 0) + 1)
    }
    if (result.violations.length > 0) this.#blame(plan, seed, result)
    else if (!this.#output.isTTY) this.#plain(plan, seed, result)
  }

  /** Why the run has failed; nothing where it has not. */
  get failures(): string[] {
    const tried = this.#rows.filter(({ cycles }) => cycles > 0)
    const fired = new Set(tried.filter((row) => row.fired > 0).map(({ fault }) => fault.name))
    const names = new Set(tried.map(({ fault }) => fault.name))
    const failures = [...names]
      .filter((name) => !fired.has(name))
      .map((name) => `${name} has never fired`)
    if (this.#violated > 0) failures.push(`${this.#violated} cycles with violations`)
    return failures
  }

  table(): void {
    const lines = [
      ['fault', 'store', 'cycles', 'fired', 'acknowledged', 'indeterminate'].concat([
        ...['doubled', 'lost', 'other', 'recovery p50', 'max'],
      ]),
      ...this.#rows.filter(({ cycles }) => cycles > 0).map(cellsOf),
      totalOf(this.#rows),
    ]
    const widths = (lines[0] ?? []).map((_, column) =>
      Math.max(...lines.map((cells) => (cells[column] ?? '').length)),
    )
    this.line()
    for (const cells of lines) {
      const padded = cells.map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      this.line(padded.join('  '))
    }
    this.#points()
    const seconds = (performance.now() - this.#startedAt) / 1000
    this.line()
    this.line(
      `${this.#done} cycles in ${clock(seconds)}, ${(seconds / Math.max(1, this.#done)).toFixed(2)} s each`,
    )
  }

  #points(): void {
    const byFault = new Map<string, Map<string, number>>()
    for (const { fault, points } of this.#rows) {
      const all = byFault.get(fault.name) ?? new Map<string, number>()
      byFault.set(fault.name, all)
      for (const [point, count] of points) all.set(point, (all.get(point) ?? 0) + count)
    }
    this.line()
    this.line('where they struck')
    for (const [name, points] of byFault) {
      if (points.size === 0) continue
      const counts = [...points].sort(([one], [other]) => (one < other ? -1 : 1))
      this.line(`  ${name}: ${counts.map(([point, count]) => `${point} ${count}`).join(', ')}`)
    }
  }

  #plain({ fault, store }: Planned, seed: number, result: CycleResult): void {
    const { fired, point, acknowledged, indeterminate, tookMs } = result
    this.line(
      `${this.#done}/${this.#cycles} ${fault.name} ${store} ${seed} ${fired ? '' : 'NOT FIRED '}(${point}): ` +
        `${acknowledged} acknowledged, ${indeterminate} indeterminate, ${(tookMs / 1000).toFixed(1)} s`,
    )
  }

  #blame({ fault, store }: Planned, seed: number, result: CycleResult): void {
    this.#violated++
    this.line(`VIOLATION in cycle ${this.#done}: ${fault.name} (${result.point}) on ${store}`)
    for (const { kind, text } of result.violations.slice(0, 10)) {
      this.line(`  ${kind}: ${text.slice(0, 1_000)}`)
    }
    if (result.violations.length > 10) this.line(`  … and ${result.violations.length - 10} more`)
    this.line(`  kept: ${result.directory ?? 'nothing'}`)
    this.line(
      `  again: npm run torture -- --cycles 1 --seed ${seed} --store ${store} --only ${fault.name}`,
    )
  }
}

function cellsOf(row: Row): string[] {
  const { fault, store, cycles, fired, acknowledged, indeterminate, violations, recoveriesMs } = row
  const doubled = violations.get('doubled') ?? 0
  const lost = violations.get('lost') ?? 0
  const all = [...violations.values()].reduce((sum, count) => sum + count, 0)
  const counts = [cycles, fired, acknowledged, indeterminate, doubled, lost, all - doubled - lost]
  return [fault.name, store, ...counts.map((count) => count.toLocaleString('en'))].concat(
    recoveryOf(recoveriesMs),
  )
}

function totalOf(rows: readonly Row[]): string[] {
  const sum = (of: (row: Row) => number): number => rows.reduce((total, row) => total + of(row), 0)
  const violations = new Map<ViolationKind, number>()
  for (const row of rows) {
    for (const [kind, count] of row.violations) {
      violations.set(kind, (violations.get(kind) ?? 0) + count)
    }
  }
  const [first] = rows
  if (first === undefined) return []
  const [, , ...cells] = cellsOf({
    ...first,
    cycles: sum((row) => row.cycles),
    fired: sum((row) => row.fired),
    acknowledged: sum((row) => row.acknowledged),
    indeterminate: sum((row) => row.indeterminate),
    recoveriesMs: rows.flatMap((row) => row.recoveriesMs),
    violations,
  })
  return ['all', '', ...cells]
}

function recoveryOf(timesMs: readonly number[]): string[] {
  if (timesMs.length === 0) return ['', '']
  const sorted = [...timesMs].sort((one, other) => one - other)
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  return [median, sorted.at(-1) ?? 0].map((ms) => `${Math.round(ms)} ms`)
}

function clock(seconds: number): string {
  const whole = Math.round(seconds)
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`
}
