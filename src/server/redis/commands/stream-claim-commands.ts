/** XCLAIM and XAUTOCLAIM: a consumer takes over what others have pending. */

import { argumentOf, inGroup, targetOf, type Call } from '../command.ts'
import { RedisError, syntaxError } from '../redis-error.ts'
import { arrayOf, bulk, bulks } from '../reply.ts'
import type { Target } from '../spaces/space.ts'
import type { Pending } from '../streams/stream-fields.ts'
import { compareIds, firstId, lastId, strictIdOf } from '../streams/stream-ids.ts'
import { StreamChange, type Group, type Stream } from '../streams/stream.ts'
import { nowMs } from './stream-delivery.ts'
import {
  entryReply,
  givenId,
  givenInteger,
  givenStart,
  noGroup,
  readStream,
} from './stream-values.ts'

/** One command that claims: what it changes, and what it answers. */
class Claims {
  readonly claimed: string[] = []
  /** Entries that are not there any more. */
  readonly gone: string[] = []
  readonly change: StreamChange
  readonly target: Target
  readonly stream: Stream
  readonly group: Group
  readonly #call: Call
  readonly #consumer: string
  readonly #justIds: boolean
  readonly #now: number
  #isSeen = false

  constructor(
    call: Call,
    found: { readonly target: Target; readonly stream: Stream; readonly group: Group },
    justIds: boolean,
  ) {
    this.#call = call
    this.target = found.target
    this.stream = found.stream
    this.group = found.group
    this.change = new StreamChange(found.stream)
    this.#consumer = argumentOf(call, 3)
    this.#justIds = justIds
    this.#now = nowMs(call)
  }

  isIdle({ deliveredMs }: Pending, minIdleMs: number): boolean {
    return minIdleMs === 0 || this.#now - deliveredMs >= minIdleMs
  }

  drop(id: string): void {
    this.change.withoutPending(this.group.name, id)
    this.gone.push(id)
  }

  take(
    id: string,
    before: Pending | undefined,
    given: { readonly deliveredMs?: number | undefined; readonly deliveries?: bigint | undefined },
  ): void {
    this.#see()
    const delivered = before?.deliveries ?? 1n
    this.change.pending(this.group.name, id, {
      consumer: this.#consumer,
      deliveredMs: given.deliveredMs ?? this.#now,
      deliveries: given.deliveries ?? (this.#justIds ? delivered : delivered + 1n),
    })
    this.claimed.push(this.#justIds ? bulk(id) : entryReply(this.stream, id))
  }

  #see(): void {
    if (this.#isSeen) return
    this.#isSeen = true
    this.change.consumer(this.group.name, this.#consumer, this.#now)
    if (this.group.index.consumers.has(this.#consumer)) return
    this.#call.server.events.tell(this.target, 'stream', 'xgroup-createconsumer')
  }
}

function groupAt(call: Call): {
  readonly target: Target
  readonly stream: Stream
  readonly group: Group
} {
  const target = targetOf(call)
  const stream = readStream(call, target)
  const name = argumentOf(call, 2)
  const group = stream?.group(name)
  if (stream === undefined || group === undefined) throw noGroup(target.name, name)
  return { target, stream, group }
}

function minIdleOf(call: Call, command: string): number {
  const ms = givenInteger(
    argumentOf(call, 4),
    () => new RedisError(`ERR Invalid min-idle-time argument for ${command}`),
  )
  return ms < 0n ? 0 : Number(ms)
}

interface ClaimOptions {
  readonly force: boolean
  readonly justIds: boolean
  readonly deliveredMs: number
  readonly deliveries: bigint | undefined
  readonly last: string
}

/** [IDLE ms] [TIME unix-time-ms] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id] */
function claimOptionsOf(call: Call, from: number): ClaimOptions {
  const { args } = call
  const now = nowMs(call)
  let [force, justIds, last] = [false, false, firstId]
  let delivered = -1n
  let deliveries = -1n
  for (let at = from; at < args.length; at++) {
    const given = argumentOf(call, at)
    const option = given.toLowerCase()
    const hasMore = at + 1 < args.length
    const value = (): bigint =>
      givenInteger(
        argumentOf(call, ++at),
        () => new RedisError(`ERR Invalid ${option.toUpperCase()} option argument for XCLAIM`),
      )
    if (option === 'force') force = true
    else if (option === 'justid') justIds = true
    else if (option === 'idle' && hasMore) delivered = BigInt(now) - value()
    else if (option === 'time' && hasMore) delivered = value()
    else if (option === 'retrycount' && hasMore) deliveries = value()
    else if (option === 'lastid' && hasMore) last = givenId(argumentOf(call, ++at))
    else throw new RedisError(`ERR Unrecognized XCLAIM option '${given}'`)
  }
  return {
    force,
    justIds,
    last,
    deliveredMs: delivered < 0n || delivered > BigInt(now) ? now : Number(delivered),
    deliveries: deliveries < 0n ? undefined : deliveries,
  }
}

/** XCLAIM key group consumer min-idle-time id … */
function xclaim(call: Call): string {
  const found = groupAt(call)
  const minIdleMs = minIdleOf(call, 'XCLAIM')
  const ids: string[] = []
  for (const text of call.args.slice(5)) {
    const id = strictIdOf(text)
    if (id === undefined) break
    ids.push(id)
  }
  const options = claimOptionsOf(call, 5 + ids.length)
  const { group, stream, target } = found
  const claims = new Claims(call, found, options.justIds)
  const { state } = group
  if (compareIds(options.last, state.last) > 0) {
    claims.change.group(group.name, { ...state, last: options.last })
  }
  for (const id of new Set(ids)) {
    const pending = group.pendingOf(id)
    if (!stream.ids.has(id)) {
      if (pending !== undefined) claims.drop(id)
    } else if (pending === undefined ? options.force : claims.isIdle(pending, minIdleMs)) {
      claims.take(id, pending, options)
    }
  }
  claims.change.write(target)
  return arrayOf(claims.claimed)
}

/** Without COUNT. */
const usualCount = 100n
/** So many entries are looked at for each that is wanted. */
const attemptsOfEach = 10
const maxCount = 2n ** 63n / 16n

/** XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID] */
function xautoclaim(call: Call): string {
  const { args } = call
  const minIdleMs = minIdleOf(call, 'XAUTOCLAIM')
  const start = givenStart(argumentOf(call, 5))
  let [count, justIds] = [usualCount, false]
  for (let at = 6; at < args.length; at++) {
    const option = argumentOf(call, at).toLowerCase()
    if (option === 'count' && at + 1 < args.length) {
      const wrong = (): RedisError => new RedisError('ERR COUNT must be > 0')
      count = givenInteger(argumentOf(call, ++at), wrong)
      if (count < 1n || count > maxCount) throw wrong()
    } else if (option === 'justid') justIds = true
    else throw syntaxError()
  }
  const found = groupAt(call)
  const { group, stream, target } = found
  const claims = new Claims(call, found, justIds)
  const most = Number(count)
  const attempts = most * attemptsOfEach
  const ids = group.pending.range(start, lastId, attempts + 1)
  let looked = 0
  for (const id of ids) {
    if (looked >= attempts || claims.claimed.length + claims.gone.length >= most) break
    looked++
    const pending = group.pendingOf(id)
    if (!stream.ids.has(id)) claims.drop(id)
    else if (pending !== undefined && claims.isIdle(pending, minIdleMs)) {
      claims.take(id, pending, {})
    }
  }
  claims.change.write(target)
  const next = ids[looked] ?? firstId
  return arrayOf([bulk(next), arrayOf(claims.claimed), bulks(claims.gone)])
}

export const streamClaimCommands = inGroup('stream', [
  { name: 'xclaim', arity: -6, flags: ['write', 'fast'], keys: [1, 1, 1], run: xclaim },
  { name: 'xautoclaim', arity: -6, flags: ['write', 'fast'], keys: [1, 1, 1], run: xautoclaim },
])
