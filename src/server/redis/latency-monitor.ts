/** LATENCY: when commands took longer than a threshold, and how long; the worst of each second. */

export interface LatencySample {
  /** Wall time. */
  readonly seconds: number
  ms: number
}

const maxSamples = 160

export class LatencyMonitor {
  /** 0: nothing is noted. */
  thresholdMs = 0
  readonly #events = new Map<LatencyEvent, LatencySample[]>()
  /** Since the last reset. */
  readonly #worst = new Map<LatencyEvent, number>()

  note(event: LatencyEvent, tookMs: number, wallTimeMs: number): void {
    const seconds = Math.floor(wallTimeMs / 1000)
    const ms = Math.round(tookMs)
    const samples = this.#events.get(event) ?? []
    this.#events.set(event, samples)
    this.#worst.set(event, Math.max(ms, this.#worst.get(event) ?? 0))
    const last = samples.at(-1)
    if (last?.seconds === seconds) {
      last.ms = Math.max(last.ms, ms)
      return
    }
    samples.push({ seconds, ms })
    if (samples.length > maxSamples) samples.shift()
  }

  /** The oldest first. */
  samples(event: string): readonly LatencySample[] {
    return this.#events.get(event as LatencyEvent) ?? []
  }

  latest(): { readonly event: string; readonly last: LatencySample; readonly worstMs: number }[] {
    return [...this.#events].flatMap(([event, samples]) => {
      const last = samples.at(-1)
      return last === undefined ? [] : [{ event, last, worstMs: this.#worst.get(event) ?? 0 }]
    })
  }

  /** All events where none is named; returns how many there were. */
  reset(events: readonly string[]): number {
    let count = 0
    for (const event of [...this.#events.keys()]) {
      if (events.length > 0 && !events.includes(event)) continue
      this.#events.delete(event)
      this.#worst.delete(event)
      count++
    }
    return count
  }
}

/** Commands that Redis calls fast, and all others. */
export type LatencyEvent = 'command' | 'fast-command'
