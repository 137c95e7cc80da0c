/**
 * Channels of node:diagnostics_channel, for tracing tools that know nothing of this application.
 *
 *     import { subscribe } from 'node:diagnostics_channel'
 *     subscribe('daybook:flush', (payload) => …)
 *
 * Where nobody has subscribed, a publication costs one test and its payload is never made. Node delivers at once, and
 * reports what a subscriber throws as an uncaught exception of its own: it does not reach the engine.
 */

import { channel, type Channel } from 'node:diagnostics_channel'

import type { Position } from '../mutation/mutation.ts'

/** Payloads by channel. Keys may be in them, values never. */
export interface DiagnosticsMap {
  /** Mutations were taken in and have their positions; they need not be durable yet. */
  readonly 'daybook:write': {
    readonly cache: string
    readonly kind: 'set' | 'delete' | 'merge' | 'increment' | 'batch'
    readonly mutations: number
    /** Of the last of them. */
    readonly position: Position
  }
  /** Keys were loaded from the store in one query. */
  readonly 'daybook:load': {
    readonly cache: string
    readonly keys: number
    /** How many of them have a row. */
    readonly found: number
    readonly tookMs: number
    /** Code of the failure, where it failed. */
    readonly failed?: string | undefined
  }
  /** A group commit of the journal ended: its mutations are durable. */
  readonly 'daybook:commit': {
    readonly mutations: number
    readonly bytes: number
    readonly position: Position
  }
  /** A batch is in the store. */
  readonly 'daybook:flush': {
    readonly lane: number
    readonly from: Position
    readonly to: Position
    readonly mutations: number
    readonly rows: number
    readonly tookMs: number
  }
  /** A mutation became a dead letter. */
  readonly 'daybook:dead-letter': {
    readonly id: string
    readonly cache: string
    readonly key: string
    readonly code: string
    readonly reason: 'rejected' | 'parked'
  }
}

export type DiagnosticsName = keyof DiagnosticsMap

/** One channel, with the payload's type. */
class Diagnostic<Name extends DiagnosticsName> {
  readonly #channel: Channel

  constructor(name: Name) {
    this.#channel = channel(name)
  }

  /** `payload` is called only where someone listens. */
  publish(payload: () => DiagnosticsMap[Name]): void {
    if (this.#channel.hasSubscribers) this.#channel.publish(payload())
  }

  /** For hot paths, where even the closure of `publish` would cost. */
  get watched(): boolean {
    return this.#channel.hasSubscribers
  }
}

export const diagnostics = {
  write: new Diagnostic('daybook:write'),
  load: new Diagnostic('daybook:load'),
  commit: new Diagnostic('daybook:commit'),
  flush: new Diagnostic('daybook:flush'),
  deadLetter: new Diagnostic('daybook:dead-letter'),
} as const
