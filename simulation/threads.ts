/** Seeds side by side, one thread for each core. */

import { Worker } from 'node:worker_threads'
import type { Grades, SeedRange } from './seeds.ts'
import { Tally, type TallyData } from './tally.ts'

export interface SideBySide {
  readonly first: number
  readonly count: number
  readonly threads: number
  readonly grades: Grades
  readonly twiceEvery: number
}

type Message =
  { readonly progress: number; readonly failures: number } | { readonly tally: TallyData }

export async function runSideBySide(
  { first, count, threads, grades, twiceEvery }: SideBySide,
  progress: (seeds: number, failures: number) => void,
): Promise<Tally> {
  const sum = new Tally()
  const soFar = Array.from({ length: threads }, () => ({ progress: 0, failures: 0 }))
  await Promise.all(
    soFar.map(async (share, thread) => {
      const own = Math.ceil((count - thread) / threads)
      if (own <= 0) return
      const range = { first: first + thread, count: own, step: threads, grades, twiceEvery }
      sum.merge(
        await runThread(range, (message) => {
          Object.assign(share, message)
          const total = (of: 'progress' | 'failures'): number =>
            soFar.reduce((all, one) => all + one[of], 0)
          progress(total('progress'), total('failures'))
        }),
      )
    }),
  )
  sum.failures.sort((left, right) => left.seed - right.seed)
  return sum
}

function runThread(
  range: SeedRange,
  progress: (message: { progress: number; failures: number }) => void,
): Promise<TallyData> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./seed-thread.ts', import.meta.url), { workerData: range })
    thread.on('message', (message: Message) => {
      if ('tally' in message) resolve(message.tally)
      else progress(message)
    })
    thread.on('error', reject)
    thread.on('exit', (code) => reject(new Error(`A thread ended with code ${code}.`)))
  })
}
