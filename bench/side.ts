/** The process of one side of one bench: told by its parent what to run, it answers with the measures. */

import { benches } from './benches.ts'
import type { Bed, Measures } from './bench.ts'

export interface Task {
  readonly bench: string
  readonly side: string
  readonly phase: 'prepare' | 'run'
  readonly directory: string
  readonly scale: number
  readonly postgresUrl: string
}

export type FromSide =
  | { readonly kind: 'postgres'; readonly action: 'start' | 'stop' }
  | { readonly kind: 'done'; readonly measures: Measures }
  | { readonly kind: 'failed'; readonly reason: string }

export type ToSide =
  | { readonly kind: 'task'; readonly task: Task }
  | { readonly kind: 'postgres-done' }
  | { readonly kind: 'exit' }

async function work(task: Task): Promise<Measures> {
  const bench = await benches[task.bench]?.()
  const side = bench?.sides.find(({ name }) => name === task.side)
  if (side === undefined) throw new Error(`there is no side ${task.side} of ${task.bench}`)
  const bed: Bed = {
    directory: task.directory,
    scale: task.scale,
    postgres: {
      url: task.postgresUrl,
      start: () => askForPostgres('start'),
      stop: () => askForPostgres('stop'),
    },
  }
  if (task.phase === 'run') return side.run(bed)
  await side.prepare?.(bed)
  return {}
}

let postgresDone = (): void => undefined

function askForPostgres(action: 'start' | 'stop'): Promise<void> {
  return new Promise((resolve) => {
    postgresDone = resolve
    tell({ kind: 'postgres', action })
  })
}

function tell(message: FromSide): void {
  process.send?.(message)
}

process.on('message', (message: ToSide) => {
  if (message.kind === 'exit') process.exit(0)
  if (message.kind === 'postgres-done') return postgresDone()
  work(message.task).then(
    (measures) => tell({ kind: 'done', measures }),
    (error: unknown) =>
      tell({
        kind: 'failed',
        reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
  )
})
