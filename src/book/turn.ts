/**
 * Reads and writes of several keys as one step: what the commands of a server are made of.
 *
 * A step is synchronous and has no effect but by `write`, for it may be run again. It sees the exact current value of each
 * key that it names, and all that it writes is appended as one batch in the same turn of the loop: no other write of this
 * process comes between.
 *
 *     tryNow ─▶ 'done'                             every value is known, nobody holds a key, and there is room
 *            └▶ 'unknown' │ 'held' │ 'full' ─▶ later: loads, waits or stands in line, and runs the step then
 *
 * A step that finds out only while it runs which keys it needs says so by `name` or `nameAll`. Where such a key must be
 * loaded first, the step is left in the middle and run again with it: as often as that happens, up to a bound.
 *
 * Nothing is allocated here for a step but its entries, so that a server can take hundreds of thousands of them a second.
 */

import { waitFor } from '../base/deadline.ts'
import { DaybookError } from '../base/errors.ts'
import type { Commit } from '../journal/journal.ts'
import { mutationName, type Entry, type Fields, type Mutation } from '../mutation/mutation.ts'
import type { Position } from '../mutation/mutation.ts'
import { diagnostics } from '../observe/diagnostics.ts'
import type { TierEntry } from '../tier/tier.ts'
import { groupedByLane } from './atomic-batch.ts'
import type { Engine } from './engine.ts'
import type { Keyspace } from './keyspace.ts'
import { StepValues } from './step-values.ts'

/** A key that a step names. */
export interface Place {
  readonly keyspace: Keyspace
  /** Canonical. */
  readonly key: string
  /** The step does not read it. */
  readonly blind: boolean
}

/** What must have happened before anyone may be told of the step. */
export interface Acknowledgement {
  /** The newest mutation that the step wrote or saw. */
  readonly position: Position
  /** Rejects where the writes did not come to be. undefined: it has happened. */
  readonly done: Promise<unknown> | undefined
  readonly wrote: boolean
}

export type NotNow =
  /** A value is not in memory. */
  | 'unknown'
  /** Someone works on one of the keys. */
  | 'held'
  /** The journal takes no more at the moment. */
  | 'full'

type Append = (entries: readonly Entry[]) => Commit | undefined

interface Known {
  readonly value: Fields | undefined
  readonly position: Position
}

/** What a step tells others. */
interface Effect {
  readonly happen: () => void
  /** Of the step, when it was told: where they are taken back, so is this. */
  readonly writes: number
}

/** Thrown by `name` through the step, which must let it pass. */
export class NotNamedBefore extends Error {
  override readonly name = 'NotNamedBefore'
  readonly places: readonly Place[]

  constructor(places: readonly Place[]) {
    super('A step needs keys that have to be loaded, or waited for, before it runs.')
    this.places = places
  }
}

/** Writes whose places are kept for the next step. */
const maxKept = 1000
/** How often one step may find out further keys, which it is run again for each time. */
const maxFoundOut = 1000
/** Keys that it may find out in all: they are held and loaded together. */
const maxFoundTogether = 100_000

export class Turn implements Acknowledgement {
  position: Position = 0
  done: Promise<unknown> | undefined
  wrote = false
  readonly #engine: Engine
  readonly #append: Append
  readonly #appendInTurn: Append
  /** What the step has written: the first `#count` of each. They are used again, so that one write allocates none of them. */
  readonly #entries: Entry[] = []
  readonly #keyspaces: Keyspace[] = []
  readonly #ttls: (number | undefined)[] = []
  #count = 0
  /** Of steps with one write, which are most of them. */
  readonly #single: Entry[] = []
  /** As far as someone has asked for it. */
  readonly #own = new StepValues(
    (keyspace, key) => (this.#known?.get(keyspace)?.get(key) ?? keyspace.fresh(key))?.value,
  )
  #places: readonly Place[] = []
  /** The one place of a step, and what the tier has for it: looked up once. */
  #only: Place | undefined
  #held: TierEntry | undefined
  /** Values that were loaded for this step; they need not stay in the tier. */
  #known: Map<Keyspace, Map<string, Known>> | undefined
  #effects: Effect[] | undefined
  /** Effects of all steps so far have happened, or will not. */
  #happened: Promise<void> = Promise.resolve()

  constructor(engine: Engine) {
    this.#engine = engine
    this.#append = (entries) => engine.writer.append(entries)
    this.#appendInTurn = (entries) => engine.writer.appendInTurn(entries)
  }

  keyspace(cache: string): Keyspace | undefined {
    return this.#engine.keyspaces.get(cache)
  }

  /** Wall time, which expiries are in. */
  wallTime(): number {
    return this.#engine.ports.clock.wallTime()
  }

  // ── For the step ──

  /**
   * The value as of now, with what the step itself has written. When it writes the key and then reads any key, this very
   * object may have changed.
   */
  read(place: Place): Fields | undefined {
    const { keyspace, key } = place
    if (this.#count > 0) {
      const own = this.#ownValues(keyspace)
      if (own?.has(key) === true) return own.get(key)
    }
    const known =
      this.#known?.get(keyspace)?.get(key) ??
      (place === this.#only ? this.#held : keyspace.fresh(key))
    if (known === undefined) throw new Error('A step reads only what it names.')
    if (known.position > this.position) this.position = known.position
    return known.value
  }

  /**
   * Before the step reads or writes a key that it was not given. Throws NotNamedBefore where that cannot be now: the step is
   * run again then, with the key.
   */
  name(place: Place): void {
    const { keyspace, key, blind } = place
    const isHeld = keyspace.holding && keyspace.isHeld(key)
    if (!isHeld && (blind || keyspace.fresh(key) !== undefined)) return
    if (!this.#places.some((given) => isSame(given, place) && (blind || !given.blind))) {
      throw new NotNamedBefore([place])
    }
  }

  /** The same of many keys that the step reads: those that are not known are loaded together. */
  nameAll(places: readonly Place[]): void {
    const unsure = places.filter(
      ({ keyspace, key }) =>
        (keyspace.holding && keyspace.isHeld(key)) || keyspace.fresh(key) === undefined,
    )
    if (unsure.length === 0) return
    const given = new Map<Keyspace, Set<string>>()
    for (const { keyspace, key, blind } of this.#places) {
      if (blind) continue
      const keys = given.get(keyspace) ?? new Set<string>()
      given.set(keyspace, keys.add(key))
    }
    const missing = unsure.filter(({ keyspace, key }) => given.get(keyspace)?.has(key) !== true)
    if (missing.length > 0) throw new NotNamedBefore(missing)
  }

  /** Of the newest mutation in the value that `read` gave. */
  positionOf({ keyspace, key }: Place): Position {
    return (this.#known?.get(keyspace)?.get(key) ?? keyspace.fresh(key))?.position ?? 0
  }

  /** True where its time is over and nobody has deleted it yet, as far as memory knows. */
  hasEnded({ keyspace, key }: Place): boolean {
    if (this.#count > 0 && this.#ownValues(keyspace)?.has(key) === true) return false
    return this.#known?.get(keyspace)?.has(key) !== true && keyspace.hasEnded(key)
  }

  /** `ttlMs` is of caches whose rows expire; undefined there: never. */
  write({ keyspace, key }: Place, mutation: Mutation, ttlMs?: number): void {
    const at = this.#count++
    this.#entries[at] = keyspace.entry(key, mutation, ttlMs)
    this.#keyspaces[at] = keyspace
    this.#ttls[at] = ttlMs
  }

  /**
   * Calls `happen` once the step is acknowledged, after the effects of earlier steps; not at all where it fails. It must not
   * throw. What is told of a write is told after it, so that `undoTo` takes back both.
   */
  afterwards(happen: () => void): void {
    this.#effects ??= []
    this.#effects.push({ happen, writes: this.#count })
  }

  /** How much was written so far, for `undoTo`. */
  get writes(): number {
    return this.#count
  }

  /** Takes back what a part of the step wrote that then failed. */
  undoTo(writes: number): void {
    this.#count = writes
    this.#own.undoTo(writes)
    this.#effects = this.#effects?.filter((effect) => effect.writes <= writes)
  }

  // ── For who runs it ──

  /** True where `tryNow` would not have to load it. */
  knows({ keyspace, key, blind }: Place): boolean {
    return blind || keyspace.fresh(key) !== undefined
  }

  /** Begins to load what is not known, so that it is there when its turn comes. What goes wrong is told then. */
  prefetch({ keyspace, key }: Place): void {
    keyspace.loader
      .load(key, keyspace.hashOf(key), keyspace.laneOf(key), () => undefined)
      .catch(() => undefined)
  }

  /** The same as `afterwards`, of what was appended by someone else. */
  afterwardsOf(done: Promise<unknown>, happen: () => void): void {
    this.#happened = happenAfter(this.#happened, done, [{ happen, writes: 0 }])
  }

  /** Resolves once no crash can take back anything up to here. */
  whenDurable(position: Position): Promise<void> {
    return this.#engine.journal.whenDurable(position)
  }

  /** Runs the step in this turn, where that can be. Then `position` and `done` are its acknowledgement. */
  tryNow(places: readonly Place[], step: () => void): 'done' | NotNow {
    try {
      return this.#attempt(places, step, this.#append)
    } catch (error) {
      if (error instanceof NotNamedBefore) return 'unknown'
      throw error
    }
  }

  /** Runs the step as soon as it can be. Throws what the step throws, or why it cannot be. */
  async later(
    places: readonly Place[],
    step: () => void,
    signal?: AbortSignal,
  ): Promise<Acknowledgement> {
    const named = [...places]
    for (let found = 0; ; found++) {
      try {
        return await this.#withNamed(named, step, signal)
      } catch (error) {
        if (!(error instanceof NotNamedBefore)) throw error
        const keys = named.length - places.length + error.places.length
        if (found >= maxFoundOut) throw tooManyFoundOut(maxFoundOut)
        if (keys > maxFoundTogether) throw tooManyFoundOut(maxFoundTogether)
        for (const place of error.places) named.push(place)
      }
    }
  }

  async #withNamed(
    places: readonly Place[],
    step: () => void,
    signal: AbortSignal | undefined,
  ): Promise<Acknowledgement> {
    for (;;) {
      for (const { keyspace, key } of places) await keyspace.whenFree(key)
      let outcome: Acknowledgement | NotNow = this.#outcome(places, step)
      if (outcome === 'unknown') {
        outcome = await (places.length === 1
          ? this.#loaded(places[0] as Place, step, signal)
          : this.#holding(places, step, signal))
      }
      if (typeof outcome === 'object') return outcome
      if (outcome === 'full') return this.#inLine(places, step, signal)
    }
  }

  #outcome(places: readonly Place[], step: () => void): Acknowledgement | NotNow {
    const outcome = this.#attempt(places, step, this.#append)
    return outcome === 'done' ? this.#acknowledgement() : outcome
  }

  #acknowledgement(): Acknowledgement {
    return { position: this.position, done: this.done, wrote: this.wrote }
  }

  #attempt(places: readonly Place[], step: () => void, append: Append): 'done' | NotNow {
    for (const place of places) {
      if (place.keyspace.holding && place.keyspace.isHeld(place.key)) return 'held'
    }
    return this.#run(places, step, append)
  }

  #run(places: readonly Place[], step: () => void, append: Append): 'done' | NotNow {
    this.#places = places
    this.#only = undefined
    for (const place of places) {
      if (place.blind || this.#known?.get(place.keyspace)?.has(place.key) === true) continue
      const held = place.keyspace.fresh(place.key)
      if (held === undefined) {
        place.keyspace.misses++
        return 'unknown'
      }
      place.keyspace.hits++
      if (places.length > 1) continue
      this.#only = place
      this.#held = held
    }
    this.#begin()
    try {
      step()
    } finally {
      this.#own.end()
    }
    if (this.#count === 0) this.done = this.#whenVisible()
    else if (this.#appendAll(append) === 'full') return 'full'
    if (this.#effects !== undefined) {
      this.#happened = happenAfter(this.#happened, this.done, this.#effects)
    }
    return 'done'
  }

  #begin(): void {
    this.position = 0
    this.done = undefined
    this.wrote = false
    this.#effects = undefined
    // A step of very many writes leaves nothing behind.
    if (this.#count > maxKept) {
      this.#entries.length = 0
      this.#keyspaces.length = 0
      this.#ttls.length = 0
    }
    this.#count = 0
  }

  /** Nothing that a crash could take back is told to anyone. */
  #whenVisible(): Promise<unknown> | undefined {
    const { journal } = this.#engine
    return this.position > journal.durablePosition ? journal.whenDurable(this.position) : undefined
  }

  #appendAll(append: Append): 'done' | NotNow {
    const count = this.#count
    let ordered = this.#single
    if (count === 1) ordered[0] = this.#entries[0] as Entry
    else ordered = groupedByLane(this.#entries.slice(0, count))
    const commit = append(ordered)
    if (commit === undefined) return 'full'
    let plain = true
    for (let at = 0; at < count; at++) {
      const keyspace = this.#keyspaces[at] as Keyspace
      const entry = this.#entries[at] as Entry
      keyspace.appended(entry, this.#ttls[at])
      if (entry.position > this.position) this.position = entry.position
      plain &&= keyspace.settlesAtCommit && append === this.#append
    }
    this.wrote = true
    if (diagnostics.write.watched) publish(ordered)
    this.done = plain ? commit.done : this.#settled(commit, [...ordered], append)
    return 'done'
  }

  /** As durable as the most demanding of its caches asks for; as the store, where it stood in line to go through. */
  #settled(commit: Commit, entries: readonly Entry[], append: Append): Promise<unknown> {
    const { pressure } = this.#engine.options
    const keyspaces = this.#keyspaces.slice(0, this.#count)
    const levels = new Set(keyspaces.map((keyspace) => keyspace.options.durability))
    const through =
      append === this.#appendInTurn &&
      keyspaces.some((keyspace) => this.#policyOf(keyspace) === 'through')
    const durability =
      through || levels.has('store') ? 'store' : levels.has('journal') ? 'journal' : 'memory'
    return this.#engine.settle(commit, entries, {
      durability,
      policy: pressure.policy,
      timeoutMs: pressure.waitMs,
      signal: undefined,
    })
  }

  #policyOf(keyspace: Keyspace | undefined): 'wait' | 'reject' | 'through' {
    return keyspace?.options.pressure ?? this.#engine.options.pressure.policy
  }

  /** Runs the step in the turn in which the value is loaded. */
  async #loaded(
    place: Place,
    step: () => void,
    signal: AbortSignal | undefined,
  ): Promise<Acknowledgement | NotNow> {
    let outcome: Acknowledgement | NotNow = 'unknown'
    const loading = place.keyspace.withCurrent(
      place.key,
      (value, position) => {
        this.#know(place, { value, position })
        try {
          outcome = this.#outcome([place], step)
        } finally {
          this.#known = undefined
        }
      },
      signal,
    )
    await loading
    return outcome
  }

  /** Keeps everyone off the keys while they are loaded: the tier may be too small for all of them at once. */
  async #holding(
    places: readonly Place[],
    step: () => void,
    signal: AbortSignal | undefined,
  ): Promise<Acknowledgement | NotNow> {
    const releases: (() => void)[] = []
    try {
      // Always in the same order, so that two of them never wait for each other.
      for (const { keyspace, key } of inOrder(places)) releases.push(await keyspace.hold(key))
      const known: [Place, Known][] = []
      await this.#loadAll(places, (place, value) => void known.push([place, value]), signal)
      // A write that one of them showed may have been undone meanwhile.
      if (known.some(([place, { position }]) => this.#isDoubtful(place, position))) return 'held'
      for (const [place, value] of known) this.#know(place, value)
      const outcome = this.#run(places, step, this.#append)
      return outcome === 'done' ? this.#acknowledgement() : outcome
    } finally {
      this.#known = undefined
      for (const release of releases) release()
    }
  }

  /** Those that the step reads. `use` has no effect but on what its caller still waits for. */
  async #loadAll(
    places: readonly Place[],
    use: (place: Place, value: Known) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const loads = places
      .filter(({ blind }) => !blind)
      .map(async (place) =>
        place.keyspace.withCurrent(place.key, (value, position) => use(place, { value, position })),
      )
    // One wait for all: for each listener that a signal gets it looks through those that it has.
    const { clock } = this.#engine.ports
    await waitFor(Promise.all(loads), { clock, signal, what: 'Loading the keys of a step' })
  }

  #isDoubtful({ keyspace, key }: Place, position: Position): boolean {
    const { durablePosition } = this.#engine.journal
    return position > durablePosition && keyspace.fresh(key)?.position !== position
  }

  #know({ keyspace, key }: Place, known: Known): void {
    this.#known ??= new Map()
    const ofKeyspace = this.#known.get(keyspace) ?? new Map<string, Known>()
    ofKeyspace.set(key, known)
    this.#known.set(keyspace, ofKeyspace)
  }

  /** Stands in line for room, and stays first in line until the step has run. */
  #inLine(
    places: readonly Place[],
    step: () => void,
    signal: AbortSignal | undefined,
  ): Promise<Acknowledgement> {
    const { writer, options } = this.#engine
    const policy = this.#policyOf(places[0]?.keyspace)
    let loading = false
    let failure: { readonly error: unknown } | undefined
    const load = async (): Promise<void> => {
      loading = true
      try {
        await this.#loadAll(places, () => undefined, signal)
      } catch (error) {
        failure = { error }
      }
      loading = false
      writer.pump()
    }
    return writer.whenRoom({ policy, waitMs: options.pressure.waitMs, signal }, () => {
      if (failure !== undefined) throw failure.error
      const outcome = this.#attempt(places, step, this.#appendInTurn)
      if (outcome === 'done') return { done: true, value: this.#acknowledgement() }
      if (outcome === 'unknown' && !loading) void load()
      return { done: false }
    })
  }

  #ownValues(keyspace: Keyspace): ReadonlyMap<string, Fields | undefined> | undefined {
    const own = this.#own
    while (own.writes < this.#count) {
      const { key, mutation } = this.#entries[own.writes] as Entry
      own.apply(this.#keyspaces[own.writes] as Keyspace, key, mutation)
    }
    return own.of(keyspace)
  }
}

async function happenAfter(
  before: Promise<void>,
  done: Promise<unknown> | undefined,
  effects: readonly Effect[],
): Promise<void> {
  await before
  try {
    await done
  } catch {
    // Whoever wrote is told why.
    return
  }
  for (const { happen } of effects) happen()
}

function isSame(a: Place, b: Place): boolean {
  return a.key === b.key && a.keyspace === b.keyspace
}

function tooManyFoundOut(most: number): DaybookError {
  return new DaybookError(
    'INVALID_VALUE',
    `A step needs more than ${most} keys that are not in memory and that it was not given.`,
    { hint: 'Give a script the keys that it uses as KEYS: then they are loaded together.' },
  )
}

/** Each once, by cache and key. */
function inOrder(places: readonly Place[]): Place[] {
  const sorted = [...places].sort(
    (a, b) => compare(a.keyspace.name, b.keyspace.name) || compare(a.key, b.key),
  )
  return sorted.filter((place, at) => {
    const before = sorted[at - 1]
    return before === undefined || !isSame(before, place)
  })
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function publish(entries: readonly Entry[]): void {
  const [first] = entries
  if (first === undefined) return
  const name = mutationName(first.mutation)
  diagnostics.write.publish(() => ({
    cache: first.cache,
    kind: entries.length === 1 ? name : 'batch',
    mutations: entries.length,
    position: entries.at(-1)?.position ?? 0,
  }))
}
