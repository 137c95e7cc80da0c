/** Which dead letters a command is about. */

import type { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import type { Params } from '../control/methods.ts'
import { UsageError } from './exit-codes.ts'
import { integer, moment } from './flags.ts'

export interface FilterFlags {
  readonly cache?: string
  readonly key?: string
  readonly keyPrefix?: string
  readonly code?: string
  readonly reason?: string
  readonly since?: number
  readonly until?: number
}

export function withFilterFlags(command: Command): Command {
  const time = moment(() => systemClock.wallTime())
  return command
    .option('--cache <name>', 'of this cache')
    .option('--key <key>', 'of this key')
    .option('--key-prefix <text>', 'of keys that begin so')
    .option('--code <code>', 'with this code of the database, such as 23505')
    .option('--reason <reason>', 'rejected by the database, or parked behind one that was')
    .option('--since <when>', 'dead since then: 15m, 2h, 3d or a date', time)
    .option('--until <when>', 'dead by then', time)
}

export function filterOf(flags: FilterFlags): Params {
  const { cache, key, keyPrefix, code, reason, since: sinceMs, until: untilMs } = flags
  if (reason !== undefined && reason !== 'rejected' && reason !== 'parked') {
    throw new UsageError('--reason is rejected or parked.')
  }
  const given = { cache, key, keyPrefix, code, reason, sinceMs, untilMs }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

export interface SelectionFlags extends FilterFlags {
  readonly all?: true
  readonly first?: number
}

export function withSelectionFlags(command: Command): Command {
  return withFilterFlags(command)
    .option('--all', 'all that fit the filters')
    .option('--first <n>', 'only the first so many that fit: a canary', integer(1, 1_000_000))
}

/** Ids, or --all or --first with filters: never all by leaving something out. */
export function selectionOf(ids: readonly string[], flags: SelectionFlags): Params {
  const filter = filterOf(flags)
  const chosen = flags.all === true || flags.first !== undefined
  if (ids.length > 0) {
    if (chosen || Object.keys(filter).length > 0)
      throw new UsageError('Give ids, or filters with --all or --first, not both.')
    return { ids }
  }
  if (!chosen) throw new UsageError('Which dead letters? Give ids, or --all, or --first <n>.')
  return { filter, ...(flags.first === undefined ? {} : { first: flags.first }) }
}
