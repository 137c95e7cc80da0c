/** Which entries XTRIM, and XADD with MAXLEN or MINID, take away: [MAXLEN|MINID [=|~] threshold [LIMIT count]]. */

import { argumentOf, type Call } from '../command.ts'
import { RedisError, syntaxError } from '../redis-error.ts'
import type { SortedIds } from '../streams/sorted-ids.ts'
import { compareIds, firstId, givenIdOf, idBefore, type GivenId } from '../streams/stream-ids.ts'
import { givenId, givenInteger, invalidId } from './stream-values.ts'

export interface Trim {
  readonly by: { readonly maxLength: number } | { readonly minId: string }
  /** Whole nodes only. */
  readonly approximately: boolean
  /** 0: no bound. */
  readonly limit: number
}

export interface AddOrTrim {
  readonly trim: Trim | undefined
  readonly makesStream: boolean
  /** undefined: the next one. */
  readonly id: GivenId | undefined
  /** The argument after the id, or after the options. */
  readonly next: number
}

/** Nodes that are looked at without LIMIT. */
const maxNodes = 100
const maxLimit = 1_000_000
const usualLimit = 10_000

export function addOrTrimOf(call: Call, isAdd: boolean): AddOrTrim {
  const { args } = call
  let by: Trim['by'] | undefined
  let approximately = false
  let limit: number | undefined
  let makesStream = true
  let id: GivenId | undefined
  let at = 2
  for (; at < args.length; at++) {
    const word = argumentOf(call, at)
    const option = word.toLowerCase()
    const hasMore = at + 1 < args.length
    if (isAdd && word === '*') break
    if ((option === 'maxlen' || option === 'minid') && hasMore) {
      if (by !== undefined) {
        throw new RedisError(
          'ERR syntax error, MAXLEN and MINID options at the same time are not compatible',
        )
      }
      const mark = argumentOf(call, at + 1)
      const isMarked = at + 2 < args.length && (mark === '~' || mark === '=')
      approximately = isMarked && mark === '~'
      at += isMarked ? 2 : 1
      by = option === 'maxlen' ? maxLengthOf(argumentOf(call, at)) : minIdOf(argumentOf(call, at))
    } else if (option === 'limit' && hasMore) {
      limit = notNegative(argumentOf(call, ++at), 'LIMIT')
    } else if (isAdd && option === 'nomkstream') makesStream = false
    else if (isAdd) {
      id = givenIdOf(word)
      if (id === undefined) throw invalidId()
      break
    } else throw syntaxError()
  }
  if (limit !== undefined && limit > 0 && by === undefined) {
    throw new RedisError(
      'ERR syntax error, LIMIT cannot be used without specifying a trimming strategy',
    )
  }
  if (!isAdd && by === undefined) {
    throw new RedisError('ERR syntax error, XTRIM must be called with a trimming strategy')
  }
  if (limit !== undefined && !approximately) {
    throw new RedisError('ERR syntax error, LIMIT cannot be used without the special ~ option')
  }
  const bound = approximately ? (limit ?? usualLimitOf(call)) : 0
  const trim = by === undefined ? undefined : { by, approximately, limit: bound }
  return { trim, makesStream, id, next: at + 1 }
}

function usualLimitOf({ server }: Call): number {
  const limit = maxNodes * server.databases.streamNodes.maxEntries
  return limit <= 0 ? usualLimit : Math.min(limit, maxLimit)
}

function maxLengthOf(text: string): Trim['by'] {
  return { maxLength: notNegative(text, 'MAXLEN') }
}

function minIdOf(text: string): Trim['by'] {
  return { minId: givenId(text) }
}

function notNegative(text: string, name: string): number {
  const value = givenInteger(text)
  if (value < 0n) throw new RedisError(`ERR The ${name} argument must be >= 0.`)
  return Number(value)
}

/** The ids that go. */
export function trimmed(ids: SortedIds, { by, approximately, limit }: Trim): readonly string[] {
  if (approximately) {
    return ids.leadingChunks((chunk, left) => {
      if (limit > 0 && ids.size - left + chunk.length > limit) return false
      return 'maxLength' in by
        ? left - chunk.length >= by.maxLength
        : compareIds(chunk.at(-1) as string, by.minId) < 0
    })
  }
  if ('maxLength' in by) {
    const surplus = ids.size - by.maxLength
    return surplus > 0 ? ids.range(firstId, ids.last ?? firstId, surplus) : []
  }
  const last = idBefore(by.minId)
  return last === undefined ? [] : ids.range(firstId, last)
}
