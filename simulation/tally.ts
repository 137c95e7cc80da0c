/** What many worlds had together. */

import type { WorldReport } from './world.ts'

export interface Failure {
  readonly seed: number
  readonly checker: string
  readonly message: string
}

export class Tally {
  seeds = 0
  events = 0
  commits = 0
  reads = 0
  boots = 0
  virtualMs = 0
  /** Seeds that were run twice, with the same trace. */
  twice = 0
  /** By kind of fault or state: in how many seeds it came. */
  readonly fired = new Map<string, number>()
  readonly failures: Failure[] = []

  add(report: WorldReport): void {
    this.seeds++
    this.events += report.events
    this.commits += report.commits
    this.reads += report.reads
    this.boots += report.boots
    this.virtualMs += report.virtualMs
    for (const what of report.fired.keys()) this.fired.set(what, (this.fired.get(what) ?? 0) + 1)
    const { violation } = report
    if (violation !== undefined) {
      const { checker, message } = violation
      this.failures.push({ seed: report.seed, checker, message })
    }
  }

  /** Takes in what another thread has counted. */
  merge(other: TallyData): void {
    this.seeds += other.seeds
    this.events += other.events
    this.commits += other.commits
    this.reads += other.reads
    this.boots += other.boots
    this.virtualMs += other.virtualMs
    this.twice += other.twice
    for (const [what, seeds] of other.fired) {
      this.fired.set(what, (this.fired.get(what) ?? 0) + seeds)
    }
    this.failures.push(...other.failures)
  }
}

/** As it goes from thread to thread. */
export type TallyData = Pick<
  Tally,
  'seeds' | 'events' | 'commits' | 'reads' | 'boots' | 'virtualMs' | 'twice' | 'fired' | 'failures'
>
