/**
 * A distribution in bounded memory, with three significant digits.
 */

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

/** In the unit of what was recorded. All 0 where nothing was. */
export interface Summary {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
  readonly mean: number
}

/** Steps that the histogram can tell apart: 2^40, which is 12 days of microseconds. */
const maxSteps = 2 ** 40

export class Histogram {
  readonly #step: number
  readonly #histogram: RecordableHistogram = createHistogram({
    lowest: 1,
    highest: maxSteps,
    figures: 3,
  })

  /** `step` is the finest difference it keeps: 0.001 (the default) suits milliseconds, 1 suits counts. */
  constructor(step = 0.001) {
    this.#step = step
  }

  /** Values below one step count as one step, values beyond the range as its end. */
  record(value: number): void {
    const steps = Math.round(value / this.#step)
    this.#histogram.record(Math.min(Math.max(steps, 1), maxSteps))
  }

  summary(): Summary {
    const { count } = this.#histogram
    if (count === 0) return { count: 0, p50: 0, p90: 0, p99: 0, max: 0, mean: 0 }
    return {
      count,
      p50: this.#percentile(50),
      p90: this.#percentile(90),
      p99: this.#percentile(99),
      max: this.#value(this.#histogram.max),
      mean: this.#value(this.#histogram.mean),
    }
  }

  #percentile(percent: number): number {
    // A percentile is the upper end of its bucket, which may lie beyond the greatest value.
    return this.#value(Math.min(this.#histogram.percentile(percent), this.#histogram.max))
  }

  #value(steps: number): number {
    // Divided by the steps per unit, for 0.001 is not exact: 7 steps are 0.007, not 0.007000000000000001.
    return steps / Math.round(1 / this.#step)
  }
}
