/** What all commands of sorted sets share: how they look at a key, and how they answer with members and scores. */

import type { Fields } from '../../../mutation/mutation.ts'
import { lookUp, type Call } from '../command.ts'
import { wrongType } from '../redis-error.ts'
import { bulk, bulks, integer, zero } from '../reply.ts'
import { scoreText } from '../spaces/scores.ts'
import { SortedMembers, type Scored } from '../spaces/sorted-members.ts'
import type { Target } from '../spaces/space.ts'

const none = SortedMembers.of([])

/** The value, which is a sorted set. */
export function sortedSetAt(target: Target): Fields | undefined {
  return checkedSortedSet(target, target.space.live(target))
}

/** The same, for a command that only reads. */
export function readSortedSet(call: Call, target: Target): Fields | undefined {
  return checkedSortedSet(target, lookUp(call, target))
}

function checkedSortedSet(target: Target, current: Fields | undefined): Fields | undefined {
  if (current !== undefined && target.space.typeOf(current) !== 'zset') target.space.sorted(current)
  return current
}

/** The members in their order, for a command that only reads; none where there is no key. */
export function membersOf(call: Call, target: Target): SortedMembers {
  const current = lookUp(call, target)
  return current === undefined ? none : target.space.sorted(current)
}

/** Members alone, or with their scores: pairs in version 3 of the protocol, and one flat list in version 2. */
export function membersReply(call: Call, items: readonly Scored[], withScores: boolean): string {
  if (!withScores) return bulks(items.map(({ member }) => member))
  return call.protocol.version === 2 ? flatReply(call, items) : pairsReply(call, items)
}

export function pairsReply(call: Call, items: readonly Scored[]): string {
  let reply = `*${items.length}\r\n`
  for (const item of items) reply += `*2\r\n${pairReply(call, item)}`
  return reply
}

export function flatReply(call: Call, items: readonly Scored[]): string {
  let reply = `*${2 * items.length}\r\n`
  for (const item of items) reply += pairReply(call, item)
  return reply
}

/** Without the head of a list: it may be a part of one. */
export function pairReply(call: Call, { member, score }: Scored): string {
  return bulk(member) + scoreReply(call, score)
}

export function scoreReply(call: Call, score: number): string {
  return call.protocol.double(scoreText(score))
}

/** Replaces whatever the key has, unless that is a row; without members it is gone. Answers how many there are. */
export function store(call: Call, target: Target, items: readonly Scored[], event: string): string {
  if (!target.space.ownsRows) throw wrongType()
  const { events } = call.server
  const before = target.space.live(target)
  if (items.length > 0) {
    const scores = new Map(items.map(({ member, score }): [string, number] => [member, score]))
    target.space.setScores(target, undefined, scores)
    events.tell(target, 'sortedSet', event)
    call.server.arrivals.announce(target)
    return integer(items.length)
  }
  if (before !== undefined) {
    target.space.delete(target)
    events.tell(target, 'generic', 'del')
  }
  return zero
}
