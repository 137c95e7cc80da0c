/** Option values that several commands read. */

import { InvalidArgumentError } from 'commander'

/** A whole number within bounds, for Commander. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It is a whole number from ${min} to ${max}.`)
  }
}

const unitMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** A moment as wall time in ms: `15m`, `2h` or `3d` ago, or an ISO date. */
export function moment(nowMs: () => number): (text: string) => number {
  return (text) => {
    const ago = /^(\d{1,6})([smhd])$/.exec(text)
    if (ago !== null) return nowMs() - Number(ago[1]) * (unitMs[ago[2] ?? ''] ?? 0)
    const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN
    if (Number.isNaN(at))
      throw new InvalidArgumentError('It is 15m, 2h, 3d or a date such as 2026-11-23T08:30Z.')
    return at
  }
}

export const storeFlag = [
  '--store <url>',
  'the database, where no application has the directory open: sqlite:path or postgres://…[?schema=…] (default: $DAYBOOK_STORE)',
] as const

export const jsonFlag = ['--json', 'print JSON'] as const
