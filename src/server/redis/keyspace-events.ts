/**
 * Keyspace notifications: what becomes of keys is published to the channels that Redis has for it,
 *
 *     __keyspace@0__:users:42   hset        by key       (K)
 *     __keyevent@0__:hset       users:42    by event     (E)
 *
 * An event is told within a step, and published once the step is acknowledged: like a reply, it never tells of anything
 * that a crash could take back. Events come in the order of the steps.
 */

import type { Turn } from '../../book/turn.ts'
import type { Channels } from './channels.ts'
import type { Space, Target } from './spaces/space.ts'

/** The letter of each kind of events. Of evictions and modules there are never any. */
const kinds = {
  generic: 'g',
  string: '$',
  list: 'l',
  set: 's',
  hash: 'h',
  sortedSet: 'z',
  expired: 'x',
  evicted: 'e',
  stream: 't',
  module: 'd',
  byKey: 'K',
  byEvent: 'E',
  miss: 'm',
  new: 'n',
} as const

export type EventKind = Exclude<keyof typeof kinds, 'byKey' | 'byEvent'>

const order = Object.values(kinds).join('')
/** What A stands for. */
const all = 'g$lshzxetd'

/** Every letter that says which events are published. */
export const eventLetters = 'Ag$lshzxeKEtmdn'

/** The letters in Redis's order, each once; undefined where there is another one. */
export function canonicalEvents(text: string): string | undefined {
  if ([...text].some((letter) => !eventLetters.includes(letter))) return undefined
  const wanted = lettersOf(text)
  const has = (letter: string): boolean => wanted.has(letter)
  const isAll = [...all].every(has)
  const rest = [...order].filter((letter) => has(letter) && !(isAll && all.includes(letter)))
  return (isAll ? 'A' : '') + rest.join('')
}

function lettersOf(text: string): Set<string> {
  return new Set(text.includes('A') ? text + all : text)
}

export class KeyspaceEvents {
  /** Something is published. */
  on = false
  /** Who writes must look whether there was a key. */
  tellsNew = false
  /** Who finds a key whose time is over ends it at once. */
  tellsExpired = false
  /** Keys whose time has come to an end, for INFO. */
  ended = 0
  readonly #turn: Turn
  readonly #channels: Channels
  #letters = new Set<string>()

  constructor(turn: Turn, channels: Channels) {
    this.#turn = turn
    this.#channels = channels
  }

  configure(text: string): void {
    this.#letters = lettersOf(text)
    this.on = this.#tells('byKey') || this.#tells('byEvent')
    this.tellsNew = this.on && this.#tells('new')
    this.tellsExpired = this.on && this.#tells('expired')
  }

  /** Within a step, after the write that it tells of. */
  tell({ space, name }: Target, kind: EventKind, event: string): void {
    if (kind === 'expired') this.#turn.afterwards(() => void this.ended++)
    if (!this.on || !this.#tells(kind)) return
    const { database } = space
    this.#turn.afterwards(() => this.#publish(database, name, event))
  }

  /** Something was taken out of a value: where it was the last, the key has gone with it. */
  tellTaken(target: Target, kind: EventKind, event: string): void {
    if (!this.on) return
    this.tell(target, kind, event)
    if (target.space.live(target) === undefined) this.tell(target, 'generic', 'del')
  }

  /**
   * What a write that is about to be made will have told by the way. A command that looks at nothing still ends what it
   * replaces.
   */
  byTheWay(target: Target): 'new' | 'expired' | undefined {
    if (!this.on) return undefined
    if (target.blind) {
      return this.tellsExpired && this.#turn.hasEnded(target) ? 'expired' : undefined
    }
    return this.tellsNew && target.space.live(target) === undefined ? 'new' : undefined
  }

  /** Deletes a key that was found with its time over. */
  end(target: Target): void {
    target.space.delete(target)
    this.tell(target, 'expired', 'expired')
  }

  /** The sweep has deleted a key. */
  expired(space: Space, key: string, done: Promise<unknown>): void {
    this.ended++
    if (!this.tellsExpired) return
    const { database } = space
    const name = space.nameOf(key)
    this.#turn.afterwardsOf(done, () => this.#publish(database, name, 'expired'))
  }

  #tells(kind: keyof typeof kinds): boolean {
    return this.#letters.has(kinds[kind])
  }

  #publish(database: number, name: string, event: string): void {
    if (this.#tells('byKey')) this.#channels.publish(`__keyspace@${database}__:${name}`, event)
    if (this.#tells('byEvent')) this.#channels.publish(`__keyevent@${database}__:${event}`, name)
  }
}
