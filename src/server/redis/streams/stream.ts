/** A stream as commands see it: the fields of its document, and what is known of them. And a change of one, which is a patch. */

import type { Fields, FieldValue } from '../../../mutation/mutation.ts'
import type { Target } from '../spaces/space.ts'
import { isThere } from '../spaces/own-field.ts'
import {
  addedField,
  consumerField,
  countField,
  countIn,
  deletedField,
  entryField,
  entryOf,
  groupField,
  groupStateField,
  groupStateOf,
  idIn,
  lastField,
  pendingField,
  pendingOf,
  pendingValue,
  type GroupState,
  type Pending,
} from './stream-fields.ts'
import type { GroupIndex, StreamIndex } from './stream-index.ts'
import { compareIds, firstId } from './stream-ids.ts'
import type { SortedIds } from './sorted-ids.ts'

export class Stream {
  readonly fields: Fields
  readonly index: StreamIndex

  constructor(fields: Fields, index: StreamIndex) {
    this.fields = fields
    this.index = index
  }

  get ids(): SortedIds {
    return this.index.ids
  }

  get length(): number {
    return this.index.ids.size
  }

  /** The largest that there ever was. Another program may have added an entry without saying so. */
  get last(): string {
    const said = idIn(this.fields[lastField])
    const there = this.ids.last ?? firstId
    return compareIds(there, said) > 0 ? there : said
  }

  get added(): bigint {
    return countIn(this.fields[addedField]) ?? BigInt(this.length)
  }

  get maxDeleted(): string {
    return idIn(this.fields[deletedField])
  }

  get first(): string {
    return this.ids.first ?? firstId
  }

  entry(id: string): readonly string[] | undefined {
    return entryOf(this.fields, id)
  }

  /** By the bytes of their names. */
  get groups(): Group[] {
    return [...this.index.groups.keys()]
      .sort()
      .map((name) => this.group(name))
      .filter((group) => group !== undefined)
  }

  group(name: string): Group | undefined {
    const index = this.index.groups.get(name)
    return index?.exists === true ? new Group(this.fields, name, index) : undefined
  }
}

export class Group {
  readonly name: string
  readonly index: GroupIndex
  readonly #fields: Fields

  constructor(fields: Fields, name: string, index: GroupIndex) {
    this.#fields = fields
    this.name = name
    this.index = index
  }

  get state(): GroupState {
    return groupStateOf(this.#fields[groupField(this.name)])
  }

  get pending(): SortedIds {
    return this.index.pending
  }

  pendingOf(id: string): Pending | undefined {
    return pendingOf(this.#fields[pendingField(this.name, id)])
  }

  /** By the bytes of their names. */
  get consumers(): [name: string, pending: SortedIds][] {
    return [...this.index.consumers].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  seenMs(consumer: string): number {
    const at = this.#fields[consumerField(this.name, consumer)]
    return typeof at === 'number' ? at : 0
  }
}

/** What a command changes of a stream, in one patch. */
export class StreamChange {
  readonly #before: Fields | undefined
  readonly #fields: Record<string, FieldValue> = {}
  readonly #removed = new Set<string>()

  /** undefined: there is none yet. */
  constructor(stream: Stream | undefined) {
    this.#before = stream?.fields
  }

  get isEmpty(): boolean {
    for (const _ in this.#fields) return false
    return this.#removed.size === 0
  }

  last(id: string): this {
    return this.#set(lastField, id)
  }

  added(count: bigint): this {
    return this.#set(addedField, countField(count))
  }

  maxDeleted(id: string): this {
    return this.#set(deletedField, id)
  }

  entry(id: string, words: readonly string[]): this {
    return this.#set(id, entryField(words))
  }

  withoutEntry(id: string): this {
    return this.#remove(id)
  }

  group(name: string, state: GroupState): this {
    return this.#set(groupField(name), groupStateField(state))
  }

  /** With its consumers, and what they have. */
  withoutGroup({ name, index }: Group): this {
    for (const consumer of index.consumers.keys()) this.#remove(consumerField(name, consumer))
    for (const id of allOf(index.pending)) this.#remove(pendingField(name, id))
    return this.#remove(groupField(name))
  }

  consumer(group: string, name: string, seenMs: number): this {
    return this.#set(consumerField(group, name), seenMs)
  }

  withoutConsumer({ name, index }: Group, consumer: string): this {
    const ids = index.consumers.get(consumer)
    if (ids !== undefined) for (const id of allOf(ids)) this.#remove(pendingField(name, id))
    return this.#remove(consumerField(name, consumer))
  }

  pending(group: string, id: string, pending: Pending): this {
    return this.#set(pendingField(group, id), pendingValue(pending))
  }

  withoutPending(group: string, id: string): this {
    return this.#remove(pendingField(group, id))
  }

  write(target: Target): void {
    if (this.#before !== undefined && this.isEmpty) return
    target.space.changeStream(target, this.#before, this.#fields, [...this.#removed])
  }

  #set(name: string, value: FieldValue): this {
    this.#removed.delete(name)
    this.#fields[name] = value
    return this
  }

  #remove(name: string): this {
    Reflect.deleteProperty(this.#fields, name)
    if (this.#before !== undefined && isThere(this.#before, name)) this.#removed.add(name)
    return this
  }
}

function allOf(ids: SortedIds): string[] {
  const { first, last } = ids
  return first === undefined || last === undefined ? [] : ids.range(first, last)
}
