/**
 * Counts the statements that this process sends to the database, in the driver itself and alike for every contender:
 * nobody counts for themselves. Only the demonstration's writer process does this.
 */

import { DatabaseSync, StatementSync } from 'node:sqlite'

let statements = 0

export function statementsSent(): number {
  return statements
}

/** From here on every statement counts, BEGIN and COMMIT too. Call it once. */
export async function countStatements(url: string): Promise<void> {
  if (url.startsWith('sqlite:')) {
    countCalls(DatabaseSync.prototype, ['exec'])
    countCalls(StatementSync.prototype, ['run', 'get', 'all', 'iterate'])
  } else {
    const { default: pg } = await import('pg')
    countCalls(pg.Client.prototype, ['query'])
  }
}

function countCalls(prototype: object, names: readonly string[]): void {
  for (const name of names) {
    const call: unknown = Reflect.get(prototype, name)
    if (typeof call !== 'function') continue
    Reflect.set(prototype, name, function (this: unknown, ...args: unknown[]): unknown {
      statements++
      return Reflect.apply(call, this, args) as unknown
    })
  }
}
