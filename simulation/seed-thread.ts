/** A thread that runs its share of the seeds, and tells how far it has come. */

import { parentPort, workerData } from 'node:worker_threads'
import { runSeeds, type SeedRange } from './seeds.ts'

const reportMs = 200
let reportedAt = performance.now()

const tally = await runSeeds(workerData as SeedRange, ({ seeds, failures }) => {
  if (performance.now() - reportedAt < reportMs) return
  reportedAt = performance.now()
  parentPort?.postMessage({ progress: seeds, failures: failures.length })
})
const { seeds, events, commits, reads, boots, virtualMs, twice, fired, failures } = tally
parentPort?.postMessage({
  tally: { seeds, events, commits, reads, boots, virtualMs, twice, fired, failures },
})
