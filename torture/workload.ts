/**
 * What the writers do: operation `number` of a seed is the same for everybody who asks, so that the processes need to
 * tell each other numbers only.
 *
 * There are three families of keys, by their first letter:
 *
 * - `a`: written by atomic batches, many in flight. Beside each change, a row of its own is incremented from nothing to
 *   one. The audit of an operation has the key in its name and is routed by it, so it is in the key's lane, and in the
 *   key's transaction: the audits say which operations a database has, how often, and whether by half.
 * - `p`: written by the cache's own methods, many in flight, with no audit.
 * - `s`: written by the methods that read and write in one step, one at a time for each key.
 *
 * In each family some keys are hot.
 */

import { between, seeded } from '../test/recovery/seeded.ts'

export interface Account {
  readonly balance: number
  readonly hits: number
  readonly tag: string | null
  /** Makes rows large enough for small segments and budgets to matter. */
  readonly pad: string | null
}

export type Change =
  | { readonly kind: 'set' | 'set-if-absent'; readonly account: Account }
  | { readonly kind: 'merge'; readonly tag: string }
  | { readonly kind: 'increment' | 'update'; readonly amount: number; readonly tag: string }
  | { readonly kind: 'delete' }

export interface Operation {
  readonly number: number
  readonly family: Family
  /** More than one only in family `a`; the keys differ. */
  readonly changes: readonly { readonly key: string; readonly change: Change }[]
  readonly durability: 'journal' | 'store'
  /** Is read after the operation; undefined: nothing is. */
  readonly read: string | undefined
}

export type Family = keyof typeof families

/** How many keys there are, and how many of them are hot. */
const families = {
  a: { keys: 40, hot: 4 },
  p: { keys: 24, hot: 3 },
  s: { keys: 10, hot: 2 },
} as const

export const accountTables = `
  create table accounts (
    id text primary key, balance bigint not null default 0, hits bigint not null default 0, tag text, pad text
  );
  create table audits (id text primary key, times bigint not null default 0);
`

export function everyKey(): string[] {
  return Object.entries(families).flatMap(([family, { keys }]) =>
    Array.from({ length: keys }, (_, index) => `${family}${index}`),
  )
}

export function auditOf(number: number, key: string): string {
  return `${key}:${number}`
}

/** The key that an audit belongs to; of any other key, itself. */
export function keyOfAudit(audit: string): string {
  return audit.split(':', 1)[0] ?? audit
}

export function numberOfAudit(audit: string): number {
  return Number(audit.slice(audit.indexOf(':') + 1))
}

/** Murmur's finalizer: neighbours become strangers. */
export function mixed(seed: number, number: number): number {
  let hash = (seed ^ Math.imul(number + 1, 0x9e3779b1)) >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

export function operationOf(seed: number, number: number): Operation {
  const random = seeded(mixed(seed, number))
  const draw = random()
  const family = draw < 0.6 ? 'a' : draw < 0.85 ? 'p' : 's'
  const keys = new Set<string>()
  const wanted = family === 'a' ? between(random, 1, 4) : 1
  while (keys.size < wanted) keys.add(keyOf(random, family))
  return {
    number,
    family,
    changes: [...keys].map((key) => ({ key, change: changeOf(random, number, family) })),
    durability: family !== 's' && random() < 0.03 ? 'store' : 'journal',
    read: random() < 0.3 ? keyOf(random, pick(random, ['a', 'p', 's'])) : undefined,
  }
}

/** The account after the change; undefined: there is none. */
export function accountAfter(before: Account | undefined, change: Change): Account | undefined {
  const base = before ?? { balance: 0, hits: 0, tag: null, pad: null }
  switch (change.kind) {
    case 'set':
      return change.account
    case 'set-if-absent':
      return before ?? change.account
    case 'merge':
      return { ...base, tag: change.tag }
    case 'increment':
      return { ...base, balance: base.balance + change.amount, hits: base.hits + 1 }
    case 'update':
      // Not commutative: an update that is applied twice, or in another order, shows.
      return {
        ...base,
        balance: ((base.balance * 3) % 1_000_003) + change.amount,
        hits: base.hits + 1,
        tag: change.tag,
      }
    case 'delete':
      return undefined
  }
}

export function sameAccount(one: Account | undefined, other: Account | undefined): boolean {
  return textOf(one) === textOf(other)
}

export function textOf(account: Account | undefined): string {
  if (account === undefined) return 'none'
  const { balance, hits, tag, pad } = account
  return `${balance}/${hits}/${tag ?? ''}/${pad === null ? '' : pad.length}`
}

function keyOf(random: () => number, family: Family): string {
  const { keys, hot } = families[family]
  return `${family}${random() < 0.5 ? between(random, 0, hot - 1) : between(random, hot, keys - 1)}`
}

function changeOf(random: () => number, number: number, family: Family): Change {
  const tag = `t${number}`
  // Different for each operation: a sum tells which of them are in it.
  const amount = between(random, 1, 1 << 20)
  const draw = random()
  if (family === 's') {
    if (draw < 0.4) return { kind: 'increment', amount, tag }
    if (draw < 0.7) return { kind: 'update', amount, tag }
    if (draw < 0.85) return { kind: 'set-if-absent', account: accountOf(random, amount, tag) }
    return { kind: 'delete' }
  }
  if (draw < 0.25) return { kind: 'set', account: accountOf(random, amount, tag) }
  if (draw < 0.45) return { kind: 'merge', tag }
  if (draw < 0.9) return { kind: 'increment', amount, tag }
  return { kind: 'delete' }
}

function accountOf(random: () => number, balance: number, tag: string): Account {
  return { balance, hits: 0, tag, pad: 'x'.repeat(between(random, 0, 600)) }
}

export function pick<const Item>(random: () => number, items: readonly [Item, ...Item[]]): Item {
  return items[between(random, 0, items.length - 1)] ?? items[0]
}
