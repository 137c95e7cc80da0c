/** Failures in words, with the way to each of them. */

import { Violation } from '../oracle/violation.ts'
import type { Failure } from './explore.ts'

export function textOfFailure({ history, state, crashes, error }: Failure): string {
  return [
    `${history}, state ${state}: ${reasonOf(error)}`,
    ...crashes.map((crash) => `  ${crash}`),
    `  Again: npm run simulate:exhaustive -- --history ${history} --state ${state}`,
  ].join('\n')
}

function reasonOf(error: unknown): string {
  if (error instanceof Violation) return `${error.checker}: ${error.message}`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
