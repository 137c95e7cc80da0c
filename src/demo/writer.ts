/**
 * The demonstrated application: a process of its own, which the demonstration kills. It takes one assignment from its
 * parent and tells it every acknowledgement; it ends with its parent.
 */

import { setImmediate as turn } from 'node:timers/promises'
import { systemClock } from '../base/clock.ts'
import { reasonOf } from '../base/errors.ts'
import { type Contender, type ContenderFigures, openContender, spreadOf } from './contender.ts'
import { loadFlights } from './flights.ts'
import type { Assignment, FromWriter, Measurement } from './messages.ts'
import { countStatements, statementsSent } from './statement-counter.ts'
import { type FlightWork, Workload } from './workload.ts'

const figuresEveryMs = 100

function tell(message: FromWriter): void {
  process.send?.(message)
}

/** Ends the process once the parent has the message. */
function tellLast(message: FromWriter): void {
  process.send?.(message, () => process.disconnect())
}

/** Tells the parent what was acknowledged in this turn of the event loop, as one message. */
class Acknowledgements {
  #flights: number[] = []

  add(flight: number): void {
    if (this.#flights.push(flight) === 1) setImmediate(() => this.send())
  }

  send(): void {
    if (this.#flights.length > 0) tell({ type: 'acknowledged', flights: this.#flights })
    this.#flights = []
  }
}

/**
 * So many clients, each of which sends its next flight as soon as the last one was acknowledged. A latency counts from
 * then: what a client waits for its turn in a busy process is part of it.
 */
class Clients {
  readonly latencies: number[] = []
  readonly #contender: Contender
  readonly #concurrency: number
  readonly #acknowledgements = new Acknowledgements()
  readonly #underWay = new Set<Promise<void>>()
  /** Since when each idle client has been ready to send. */
  readonly #readySince: number[]
  #failure: unknown

  constructor(contender: Contender, concurrency: number) {
    this.#contender = contender
    this.#concurrency = concurrency
    this.#readySince = new Array<number>(concurrency).fill(systemClock.now())
  }

  /** Resolves when there is room for the next flight, or rejects once one has failed. */
  async begin(work: FlightWork): Promise<void> {
    const readySince = this.#readySince.shift() ?? systemClock.now()
    const flight = this.#contender.apply(work).then(
      () => {
        const now = systemClock.now()
        this.latencies.push(now - readySince)
        this.#readySince.push(now)
        this.#underWay.delete(flight)
        this.#acknowledgements.add(work.index)
      },
      (error: unknown) => {
        this.#failure ??= error
        this.#underWay.delete(flight)
      },
    )
    this.#underWay.add(flight)
    // A contender that never waits for anything must not keep the timers and the parent from their turn.
    if (work.index % this.#concurrency === 0) await turn()
    while (this.#underWay.size >= this.#concurrency) await Promise.race(this.#underWay)
    if (this.#failure !== undefined) throw this.#failure as Error
  }

  async end(): Promise<void> {
    await Promise.all(this.#underWay)
    if (this.#failure !== undefined) throw this.#failure as Error
    this.#acknowledgements.send()
  }
}

async function replay(
  contender: Contender,
  workload: Workload,
  assignment: Assignment,
): Promise<ContenderFigures> {
  const clients = new Clients(contender, assignment.concurrency)
  for (let index = 0; index < assignment.flights; index++) {
    const work = workload.next()
    if (index >= contender.recovered) await clients.begin(work)
  }
  await clients.end()
  await contender.drain()
  const figures = contender.figures()
  await contender.close()
  return figures
}

async function race(
  contender: Contender,
  workload: Workload,
  { concurrency, measureMs = 0 }: Assignment,
): Promise<never> {
  tell({
    type: 'measured',
    measurement: await measure(contender, workload, concurrency, measureMs),
  })
  const clients = new Clients(contender, concurrency)
  for (;;) await clients.begin(workload.next())
}

async function measure(
  contender: Contender,
  workload: Workload,
  concurrency: number,
  measureMs: number,
): Promise<Measurement> {
  const clients = new Clients(contender, concurrency)
  const statementsBefore = statementsSent()
  const startedAt = systemClock.now()
  while (systemClock.now() - startedAt < measureMs) await clients.begin(workload.next())
  await clients.end()
  const acknowledgedMs = systemClock.now() - startedAt
  await contender.drain()
  return {
    ...contender.figures(),
    flights: clients.latencies.length,
    statements: statementsSent() - statementsBefore,
    acknowledgedMs,
    drainedMs: systemClock.now() - startedAt,
    latency: spreadOf(clients.latencies),
    staleness: contender.staleness(),
  }
}

async function work(assignment: Assignment): Promise<ContenderFigures> {
  const flights = await loadFlights(assignment.flights)
  if (assignment.measureMs !== undefined) await countStatements(assignment.target.url)
  const contender = await openContender(assignment.contender, {
    ...assignment,
    // At once: a kill takes what was not told.
    flushed: () => setImmediate(tellFigures),
  })
  const tellFigures = (): void => tell({ type: 'figures', figures: contender.figures() })
  tell({ type: 'ready', recovered: contender.recovered })
  const timer = setInterval(tellFigures, figuresEveryMs)
  const workload = new Workload(flights)
  try {
    if (assignment.measureMs !== undefined) return await race(contender, workload, assignment)
    return await replay(contender, workload, assignment)
  } finally {
    clearInterval(timer)
  }
}

process.once('message', (assignment: Assignment) => {
  work(assignment).then(
    (figures) => tellLast({ type: 'done', figures }),
    (error: unknown) => {
      process.exitCode = 1
      tellLast({ type: 'failed', message: reasonOf(error) })
    },
  )
})
// Nobody is left to tell anything to: what is acknowledged is in the journal.
process.once('disconnect', () => process.exit())
