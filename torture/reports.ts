/**
 * What a writer reports of its operations and reads: a line each, written to a pipe by a call that blocks, so that a
 * process that is killed has said all that it has done.
 *
 * ```text
 *   i 17            the call of operation 17 comes next
 *   a 17 0:31,2:33  its promise has resolved; where in the journal its changes are, as lane:position
 *   a 17            the same, of a method that gives no receipt
 *   n 17 CODE       its promise has rejected, and it was certainly not accepted
 *   u 17 CODE       its promise has rejected, and it may have been accepted
 *   b 4 a12         read 4, of the key a12, begins
 *   v 4 {…}         its answer; without JSON: there is no value
 *   f 4 CODE        it has failed
 * ```
 */

import type { Account } from './workload.ts'

export interface Place {
  readonly lane: number
  readonly position: number
}

export type Report =
  | { readonly kind: 'intent'; readonly number: number }
  | { readonly kind: 'acknowledged'; readonly number: number; readonly places: readonly Place[] }
  | { readonly kind: 'refused' | 'unknown'; readonly number: number; readonly code: string }
  | { readonly kind: 'read-begun'; readonly read: number; readonly key: string }
  | { readonly kind: 'read'; readonly read: number; readonly account: Account | undefined }
  | { readonly kind: 'read-failed'; readonly read: number; readonly code: string }

export function lineOf(report: Report): string {
  switch (report.kind) {
    case 'intent':
      return `i ${report.number}\n`
    case 'acknowledged': {
      const places = report.places.map(({ lane, position }) => `${lane}:${position}`)
      return `a ${report.number} ${places.join(',')}\n`
    }
    case 'refused':
      return `n ${report.number} ${report.code}\n`
    case 'unknown':
      return `u ${report.number} ${report.code}\n`
    case 'read-begun':
      return `b ${report.read} ${report.key}\n`
    case 'read':
      return `v ${report.read} ${report.account === undefined ? '' : JSON.stringify(report.account)}\n`
    case 'read-failed':
      return `f ${report.read} ${report.code}\n`
  }
}

/** Throws where the line is none of these. */
export function reportOf(line: string): Report {
  const [, letter = '', digits, rest] = /^([ianubvf]) (\d+) ?(.*)$/.exec(line) ?? []
  const number = Number(digits)
  switch (letter) {
    case 'i':
      return { kind: 'intent', number }
    case 'a':
      return { kind: 'acknowledged', number, places: placesOf(rest ?? '') }
    case 'n':
      return { kind: 'refused', number, code: rest ?? '' }
    case 'u':
      return { kind: 'unknown', number, code: rest ?? '' }
    case 'b':
      return { kind: 'read-begun', read: number, key: rest ?? '' }
    case 'v':
      return {
        kind: 'read',
        read: number,
        account: rest === '' ? undefined : (JSON.parse(rest ?? '') as Account),
      }
    case 'f':
      return { kind: 'read-failed', read: number, code: rest ?? '' }
    default:
      throw new Error(`A writer reports what cannot be read: ${line}`)
  }
}

function placesOf(text: string): Place[] {
  if (text === '') return []
  return text.split(',').map((place) => {
    const [lane, position] = place.split(':').map(Number)
    return { lane: lane ?? NaN, position: position ?? NaN }
  })
}
