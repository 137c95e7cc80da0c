/** Publish and subscribe, within this process. Messages are sent at once and kept nowhere. */

import { matchesGlob } from './glob.ts'
import { bulk } from './reply.ts'
import type { Session } from './session.ts'

export type SubscriptionKind =
  | 'channels'
  | 'patterns'
  /** Shard channels: in a cluster they stay within a shard. One server has them all, beside the other channels. */
  | 'shards'

/** Channels and patterns of one connection, of all kinds. */
export const maxSubscriptions = 100_000

export class Channels {
  readonly #channels = new Map<string, Set<Session>>()
  readonly #patterns = new Map<string, Set<Session>>()
  readonly #shards = new Map<string, Set<Session>>()

  subscribe(session: Session, kind: SubscriptionKind, name: string): void {
    session[kind].add(name)
    const all = this.#all(kind)
    const sessions = all.get(name) ?? new Set()
    sessions.add(session)
    all.set(name, sessions)
  }

  unsubscribe(session: Session, kind: SubscriptionKind, name: string): void {
    session[kind].delete(name)
    const all = this.#all(kind)
    const sessions = all.get(name)
    sessions?.delete(session)
    if (sessions?.size === 0) all.delete(name)
  }

  /** Of a connection that ended, or was reset. */
  leave(session: Session): void {
    for (const name of [...session.channels]) this.unsubscribe(session, 'channels', name)
    for (const name of [...session.patterns]) this.unsubscribe(session, 'patterns', name)
    for (const name of [...session.shards]) this.unsubscribe(session, 'shards', name)
  }

  /** Returns how many got it. */
  publish(channel: string, message: string): number {
    let count = 0
    const body = bulk(channel) + bulk(message)
    for (const session of this.#channels.get(channel) ?? []) {
      session.push(`${session.protocol.push(3)}${bulk('message')}${body}`)
      count++
    }
    for (const [pattern, sessions] of this.#patterns) {
      if (!matchesGlob(pattern, channel)) continue
      for (const session of sessions) {
        session.push(`${session.protocol.push(4)}${bulk('pmessage')}${bulk(pattern)}${body}`)
        count++
      }
    }
    return count
  }

  /** The same, to those of a shard channel: patterns are none of it. */
  publishToShard(channel: string, message: string): number {
    const body = bulk(channel) + bulk(message)
    for (const session of this.#shards.get(channel) ?? []) {
      session.push(`${session.protocol.push(3)}${bulk('smessage')}${body}`)
    }
    return this.subscribers(channel, 'shards')
  }

  /** How many would get it. */
  receivers(channel: string): number {
    let count = this.subscribers(channel)
    for (const [pattern, sessions] of this.#patterns) {
      if (matchesGlob(pattern, channel)) count += sessions.size
    }
    return count
  }

  channels(pattern: string, kind: 'channels' | 'shards' = 'channels'): string[] {
    return [...this.#all(kind).keys()].filter((name) => matchesGlob(pattern, name))
  }

  subscribers(channel: string, kind: 'channels' | 'shards' = 'channels'): number {
    return this.#all(kind).get(channel)?.size ?? 0
  }

  get patternCount(): number {
    return this.#patterns.size
  }

  #all(kind: SubscriptionKind): Map<string, Set<Session>> {
    if (kind === 'shards') return this.#shards
    return kind === 'channels' ? this.#channels : this.#patterns
  }
}
