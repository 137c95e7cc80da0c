/**
 * What happens in a book, as typed events. Listeners are called one after the other, at once.
 *
 * A listener is a guest: what it throws or rejects with never reaches the engine, but the logger, once per event name.
 */

import { reasonOf } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { Position } from '../mutation/mutation.ts'
import type { StoreFailure } from '../store/store.ts'

export type PressureState =
  /** What is pending fits into its memory budget. */
  | 'none'
  /** Sealed batches leave memory; the journal has them. */
  | 'spilling'
  /** A budget is used up: writes wait, are rejected or go through, as their cache says. */
  | 'limit'

/** Payloads are plain data. Keys may be in them, values never. */
export interface EventMap {
  /** A batch is in the store: the lane's mutations in (from, to]. */
  readonly flushed: {
    readonly lane: number
    readonly from: Position
    readonly to: Position
    readonly mutations: number
    readonly rows: number
    /** In the journal. */
    readonly bytes: number
    /** From begin to commit. */
    readonly tookMs: number
  }
  /** A batch failed and will be tried again after `delayMs`. `attempt` is the one that failed, counted from 1. */
  readonly retrying: {
    readonly lane: number
    readonly attempt: number
    readonly delayMs: number
    readonly failure: StoreFailure
  }
  /** The breaker has opened. Once per outage. */
  readonly storeDown: { readonly failure: StoreFailure }
  /** The store answers again. */
  readonly storeUp: { readonly downMs: number }
  /** Mutations that the store refused are now dead letters, and their lane goes on. */
  readonly deadLettered: {
    readonly lane: number
    /** Ids of the dead letters. */
    readonly letters: readonly string[]
    /** Of the first that was rejected; undefined where all were parked. */
    readonly failure: StoreFailure | undefined
  }
  /** The pressure has changed. */
  readonly pressure: {
    readonly state: PressureState
    readonly pendingBytes: number
    readonly journalBytes: number
  }
  /** Something is due in the lane, and nothing has been flushed for too long. `reason` is for people. */
  readonly stalled: { readonly lane: number; readonly lagMs: number; readonly reason: string }
  /** Flushing has stopped until someone changes something; in all lanes where none is named. */
  readonly halted: { readonly lane?: number | undefined; readonly failure: StoreFailure }
  /** Another process has taken over. This one will never write to the store again. */
  readonly fenced: { readonly failure: StoreFailure }
  /** The disk is full: writes are refused. */
  readonly journalFull: { readonly reason: string }
  /** Space has returned: writes are accepted. */
  readonly journalRecovered: { readonly fullMs: number }
  /** A sync failed: nothing is accepted any more. Restart to learn the outcome of the writes in flight. */
  readonly journalFailed: { readonly reason: string }
  /** The store had gone back in time; the lane's mutations in (from, to] are written again. */
  readonly rolledForward: { readonly lane: number; readonly from: Position; readonly to: Position }
}

export type EventName = keyof EventMap
/** What it returns is ignored, but for a promise that rejects. */
export type Listener<Name extends EventName> = (payload: EventMap[Name]) => unknown

type Guest = (payload: unknown) => unknown

export class Events {
  readonly #logger: Logger
  /** Lists are replaced, never changed: a listener may come or go while an event is delivered. */
  readonly #guests = new Map<EventName, readonly Guest[]>()
  readonly #complained = new Set<EventName>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Returns what takes the listener off again. The same function twice is called twice. */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void {
    // Only `emit` with the same name calls it, so the payload is the one that it takes.
    const guest: Guest = (payload) => listener(payload as EventMap[Name])
    this.#guests.set(name, [...this.#of(name), guest])
    return () => {
      this.#guests.set(
        name,
        this.#of(name).filter((other) => other !== guest),
      )
    }
  }

  /** Never throws. */
  emit<Name extends EventName>(name: Name, payload: EventMap[Name]): void {
    for (const guest of this.#of(name)) {
      try {
        const result = guest(payload)
        if (result instanceof Promise) result.catch((error: unknown) => this.#complain(name, error))
      } catch (error) {
        this.#complain(name, error)
      }
    }
  }

  #of(name: EventName): readonly Guest[] {
    return this.#guests.get(name) ?? []
  }

  #complain(name: EventName, error: unknown): void {
    if (this.#complained.has(name)) return
    this.#complained.add(name)
    this.#logger.error(
      { event: name, reason: reasonOf(error) },
      'a listener failed; further failures of this event are not logged',
    )
  }
}
