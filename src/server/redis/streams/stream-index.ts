/**
 * What is known of a stream beside its document: its ids in their order, and those that are pending, of each group and of each
 * consumer. It never changes: what a change makes of it is another one, that shares what is the same.
 *
 * Pure.
 */

import type { Fields } from '../../../mutation/mutation.ts'
import { SortedIds } from './sorted-ids.ts'
import { isThere } from '../spaces/own-field.ts'
import { fieldNameOf, pendingOf } from './stream-fields.ts'

export interface GroupIndex {
  /** False where only something else says that there is such a group. */
  readonly exists: boolean
  readonly pending: SortedIds
  /** With what each of them has pending. */
  readonly consumers: ReadonlyMap<string, SortedIds>
}

const noGroup: GroupIndex = { exists: false, pending: SortedIds.none, consumers: new Map() }

export class StreamIndex {
  readonly ids: SortedIds
  readonly groups: ReadonlyMap<string, GroupIndex>

  constructor(ids: SortedIds, groups: ReadonlyMap<string, GroupIndex>) {
    this.ids = ids
    this.groups = groups
  }

  /** Of a document with these fields. */
  static of(fields: Fields, perChunk: number): StreamIndex {
    const { ids, groups } = found(fields, Object.keys(fields))
    const empty = new StreamIndex(SortedIds.of(ids, perChunk), new Map())
    return groups.size === 0
      ? empty
      : empty.#withGroups({ ids: [], groups: new Map() }, { ids, groups })
  }

  /** `after` is what it was of but for the fields with these names, which are in `was` as they were. */
  changed(
    { was, after }: { readonly was: Fields; readonly after: Fields },
    names: readonly string[],
    perChunk: number,
  ): StreamIndex {
    const [before, now] = [found(was, names), found(after, names)]
    const stays = new Set(before.ids)
    const [removed, added] = differences(before.ids, now.ids, stays)
    const ids = this.ids.changed(removed, added, perChunk)
    if (before.groups.size === 0 && now.groups.size === 0) return new StreamIndex(ids, this.groups)
    return new StreamIndex(ids, this.groups).#withGroups(before, now)
  }

  #withGroups(before: Found, now: Found): StreamIndex {
    const groups = new Map(this.groups)
    for (const name of new Set([...before.groups.keys(), ...now.groups.keys()])) {
      const group = changedGroup(groups.get(name) ?? noGroup, {
        before: before.groups.get(name) ?? noneFound(),
        now: now.groups.get(name) ?? noneFound(),
      })
      if (group.exists || group.consumers.size > 0 || group.pending.size > 0)
        groups.set(name, group)
      else groups.delete(name)
    }
    return new StreamIndex(this.ids, groups)
  }
}

/** What some fields say of a group. */
interface FoundGroup {
  exists: boolean
  readonly consumers: Set<string>
  /** Who has them, by their ids. */
  readonly pending: Map<string, string>
}

interface Found {
  readonly ids: readonly string[]
  readonly groups: ReadonlyMap<string, FoundGroup>
}

function noneFound(): FoundGroup {
  return { exists: false, consumers: new Set(), pending: new Map() }
}

function found(fields: Fields, names: readonly string[]): Found {
  const ids: string[] = []
  const groups = new Map<string, FoundGroup>()
  for (const name of names) {
    if (!isThere(fields, name)) continue
    const given = fieldNameOf(name)
    if (given === undefined) continue
    if (given.kind === 'entry') {
      ids.push(given.id)
      continue
    }
    let group = groups.get(given.group)
    if (group === undefined) groups.set(given.group, (group = noneFound()))
    if (given.kind === 'group') group.exists = true
    else if (given.kind === 'consumer') group.consumers.add(given.consumer)
    else {
      const pending = pendingOf(fields[name])
      if (pending !== undefined) group.pending.set(given.id, pending.consumer)
    }
  }
  return { ids, groups }
}

function changedGroup(
  group: GroupIndex,
  { before, now }: { readonly before: FoundGroup; readonly now: FoundGroup },
): GroupIndex {
  const consumers = new Map(group.consumers)
  for (const name of before.consumers) if (!now.consumers.has(name)) consumers.delete(name)
  for (const name of now.consumers) {
    if (!consumers.has(name)) consumers.set(name, SortedIds.none)
  }
  const [gone, come] = [byConsumer(before.pending), byConsumer(now.pending)]
  for (const name of new Set([...gone.keys(), ...come.keys()])) {
    const [removed, added] = differences(gone.get(name) ?? [], come.get(name) ?? [])
    const ids = group.consumers.get(name) ?? SortedIds.none
    const left = ids.changed(removed, added)
    if (left.size > 0 || consumers.has(name)) consumers.set(name, left)
  }
  const [removed, added] = differences([...before.pending.keys()], [...now.pending.keys()])
  return {
    exists: before.exists === now.exists ? group.exists : now.exists,
    pending: group.pending.changed(removed, added),
    consumers,
  }
}

function byConsumer(pending: ReadonlyMap<string, string>): Map<string, string[]> {
  const ids = new Map<string, string[]>()
  for (const [id, consumer] of pending) {
    const held = ids.get(consumer)
    if (held === undefined) ids.set(consumer, [id])
    else held.push(id)
  }
  return ids
}

/** What only the first has, and what only the second has. */
function differences(
  first: readonly string[],
  second: readonly string[],
  ofFirst = new Set(first),
): [string[], string[]] {
  const ofSecond = new Set(second)
  return [first.filter((id) => !ofSecond.has(id)), second.filter((id) => !ofFirst.has(id))]
}
