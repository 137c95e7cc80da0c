/** A fixed number of writers, each of which starts its next write when the last one has resolved. */

import type { Measures } from './bench.ts'

export interface ClosedLoop {
  readonly writers: number
  readonly warmUpMs: number
  readonly measureMs: number
  /** `number` grows by one with every write, over all writers together. */
  write(number: number): Promise<unknown>
}

const maxSamples = 4_000_000

export async function closedLoop(loop: ClosedLoop): Promise<Measures> {
  const latencies = new Float32Array(maxSamples)
  let phase: 'warm-up' | 'measure' | 'over' = 'warm-up'
  let started = 0
  let measured = 0

  const writer = async (): Promise<void> => {
    while (phase !== 'over') {
      const from = performance.now()
      await loop.write(started++)
      // Counted by where it ends, so that a slow write at the edge is neither lost nor counted twice.
      if (phase !== 'measure') continue
      if (measured < maxSamples) latencies[measured] = performance.now() - from
      measured++
    }
  }
  const writing = Promise.all(Array.from({ length: loop.writers }, writer))

  // Should a write fail, `writing` rejects first and ends the bench.
  await Promise.race([writing, elapsed(loop.warmUpMs)])
  phase = 'measure'
  const from = performance.now()
  const cpu = process.cpuUsage()
  const threadCpu = process.threadCpuUsage()
  await Promise.race([writing, elapsed(loop.measureMs)])
  phase = 'over'
  const seconds = (performance.now() - from) / 1000
  const all = process.cpuUsage(cpu)
  const main = process.threadCpuUsage(threadCpu)
  const count = measured
  await writing

  const sorted = latencies.subarray(0, Math.min(count, maxSamples)).sort()
  return {
    perSecond: count / seconds,
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? NaN,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? NaN,
    // A write's share of the processor: it depends less than time on what else the machine does.
    cpuMicros: (all.user + all.system) / count,
    mainThreadMicros: (main.user + main.system) / count,
  }
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
