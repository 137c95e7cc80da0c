/**
 * Says whether a database can be what came of what the processes were told: outside of the engine, and with nothing of it.
 *
 * The processes of a cycle follow each other, and each is a history. What a history leaves open may have come to be or
 * not, but not in any way: the journal keeps a beginning of what was appended, so of the calls of one process, in their
 * order, a beginning is applied, without those that were refused. Where the audits tell how far it goes, there is one
 * possible account; else there are a few, and what was read and acknowledged narrows them.
 */

import type { Called, History, Read } from './history.ts'
import {
  accountAfter,
  auditOf,
  everyKey,
  numberOfAudit,
  operationOf,
  sameAccount,
  textOf,
  type Account,
  type Change,
  type Operation,
} from './workload.ts'

export interface Contents {
  readonly accounts: ReadonlyMap<string, Account>
  /** How often each audit was counted. */
  readonly audits: ReadonlyMap<string, number>
}

export type ViolationKind =
  /** Acknowledged, and not there. */
  | 'lost'
  /** There more than once. */
  | 'doubled'
  /** Some keys of an atomic batch are there, and others are not. */
  | 'halved'
  /** There, and nobody wrote it, or it was refused, or a stale process wrote it. */
  | 'foreign'
  /** Something earlier is missing. */
  | 'reordered'
  /** A row that nothing of what was written explains. */
  | 'wrong row'
  /** A read that nothing of what was written explains, or of what a crash took back. */
  | 'wrong read'
  /** An error that there is no reason for. */
  | 'wrong error'
  /** Something took too long, or ended otherwise than it should. */
  | 'stuck'

export interface Violation {
  readonly kind: ViolationKind
  readonly text: string
}

/** One key's part of a history. */
interface KeyHistory {
  readonly calls: readonly (Called & { readonly change: Change })[]
  readonly reads: readonly Read[]
}

const expectedCodes: readonly string[] = [
  ...['JOURNAL_FULL', 'OVERLOADED', 'JOURNAL_FAILED', 'CLOSED', 'FENCED', 'TIMEOUT'],
  ...['STORE_UNAVAILABLE', 'STORE_CONFLICT'],
]

export class Oracle {
  readonly #seed: number
  /** One process after the other. */
  readonly #histories: History[] = []
  /** Of stale processes, from when others had taken over. */
  readonly #strayed: History[] = []
  readonly #snapshots: Contents[] = []
  readonly #operations = new Map<number, Operation>()
  #violations: Violation[] = []

  constructor(seed: number) {
    this.#seed = seed
  }

  follow(history: History): void {
    this.#histories.push(history)
  }

  followStrayed(history: History): void {
    this.#strayed.push(history)
  }

  /** The database at a moment when no process was there. */
  keep(snapshot: Contents): void {
    this.#snapshots.push(snapshot)
  }

  /** By name. */
  get texts(): [name: string, text: string][] {
    return [
      ...this.#histories.map(({ text }, index) => named('process', index, text)),
      ...this.#strayed.map(({ text }, index) => named('stale', index, text)),
    ]
  }

  get acknowledged(): number {
    return this.#count('acknowledged')
  }

  get indeterminate(): number {
    return this.#count('open')
  }

  /** The database after everything has drained. */
  judge(contents: Contents): Violation[] {
    this.#violations = []
    for (const history of [...this.#histories, ...this.#strayed]) this.#judgeCodes(history)
    this.#judgeAudits(contents)
    for (const history of this.#histories) this.#judgePrefix(history, contents)
    for (const key of everyKey()) this.#judgeKey(key, contents)
    for (const key of contents.accounts.keys()) {
      if (!everyKey().includes(key)) this.#blame('foreign', `account ${key}`)
    }
    for (const snapshot of this.#snapshots) this.#judgeSnapshot(snapshot, contents)
    return this.#violations
  }

  #blame(kind: ViolationKind, text: string): void {
    this.#violations.push({ kind, text })
  }

  #count(kind: Called['outcome']['kind']): number {
    let count = 0
    for (const history of this.#histories) {
      for (const { outcome } of history.called) if (outcome.kind === kind) count++
    }
    return count
  }

  #operation(number: number): Operation {
    let operation = this.#operations.get(number)
    if (operation === undefined) {
      operation = operationOf(this.#seed, number)
      this.#operations.set(number, operation)
    }
    return operation
  }

  #judgeCodes(history: History): void {
    const codes = new Set(history.failedReads)
    for (const { outcome } of history.called) {
      if (outcome.kind !== 'acknowledged' && outcome.code !== undefined) codes.add(outcome.code)
    }
    for (const code of codes) {
      if (!expectedCodes.includes(code)) this.#blame('wrong error', code)
    }
  }

  #judgeAudits({ audits }: Contents): void {
    const outcomes = new Map<number, Called['outcome']>()
    for (const history of this.#histories) {
      for (const { number, outcome } of history.called) outcomes.set(number, outcome)
    }
    for (const [audit, times] of audits) {
      const number = numberOfAudit(audit)
      const outcome = outcomes.get(number)
      if (times !== 1) this.#blame('doubled', `audit ${audit} is ${times}`)
      if (outcome === undefined) this.#blame('foreign', `audit ${audit} was never called`)
      else if (outcome.kind === 'refused') {
        this.#blame('foreign', `audit ${audit} was refused with ${outcome.code}`)
      }
    }
    for (const [number, outcome] of outcomes) {
      const { family, changes } = this.#operation(number)
      if (family !== 'a') continue
      const there = changes.filter(({ key }) => audits.has(auditOf(number, key))).length
      if (there === changes.length) continue
      if (there > 0) {
        this.#blame('halved', `operation ${number}: ${there} of ${changes.length} keys`)
      }
      if (outcome.kind === 'acknowledged') this.#blame('lost', `operation ${number}`)
    }
  }

  /** Of the batches of one process, a beginning is there. */
  #judgePrefix(history: History, { audits }: Contents): void {
    let missing: number | undefined
    for (const { number, outcome } of history.called) {
      const { family, changes } = this.#operation(number)
      if (family !== 'a' || outcome.kind === 'refused') continue
      const there = changes.some(({ key }) => audits.has(auditOf(number, key)))
      if (!there) missing ??= number
      else if (missing !== undefined) {
        this.#blame('reordered', `operation ${number} is there, and ${missing} before it is not`)
        return
      }
    }
  }

  #judgeKey(key: string, contents: Contents): void {
    /** By their text, so that equal ones are one. */
    let possible = new Map<string, Account | undefined>([[textOf(undefined), undefined]])
    for (const [index, history] of this.#histories.entries()) {
      const part = this.#partOf(history, key)
      const bounds = this.#boundsOf(history, key, part, contents)
      const after = new Map<string, Account | undefined>()
      let problem: Violation | undefined
      for (const start of possible.values()) {
        const outcome = endsOf(start, part, bounds)
        if ('problem' in outcome) problem ??= outcome.problem
        else for (const end of outcome.ends) after.set(textOf(end), end)
      }
      if (after.size === 0) {
        const { kind = 'wrong read', text = '' } = problem ?? {}
        this.#blame(kind, `${key}, process ${index + 1}: ${text}`)
        return
      }
      possible = after
    }
    const row = contents.accounts.get(key)
    if (![...possible.values()].some((account) => sameAccount(account, row))) {
      const some = [...possible.keys()].slice(0, 4).join(' or ')
      this.#blame('wrong row', `${key} is ${textOf(row)}, and can only be ${some}`)
    }
  }

  #partOf(history: History, key: string): KeyHistory {
    const calls = []
    for (const called of history.called) {
      if (called.outcome.kind === 'refused') continue
      const found = this.#operation(called.number).changes.find((other) => other.key === key)
      if (found !== undefined) calls.push({ ...called, change: found.change })
    }
    return { calls, reads: history.reads.filter((read) => read.key === key) }
  }

  /** How many of the calls are applied: at least, and at most. */
  #boundsOf(
    history: History,
    key: string,
    { calls }: KeyHistory,
    { audits }: Contents,
  ): { least: number; most: number } {
    if (key.startsWith('a')) {
      const there = calls.filter(({ number }) => audits.has(auditOf(number, key))).length
      return { least: there, most: there }
    }
    const acknowledged = calls.findLastIndex(
      ({ outcome, change }) => outcome.kind === 'acknowledged' && change.kind !== 'set-if-absent',
    )
    if (key.startsWith('s')) return { least: acknowledged + 1, most: calls.length }
    // Appended in one order with the batches: what was called before one that is there is there.
    let lastThere = 0
    let firstMissing = Infinity
    for (const { number, at, outcome } of history.called) {
      const { family, changes } = this.#operation(number)
      if (family !== 'a' || outcome.kind === 'refused') continue
      if (changes.some((change) => audits.has(auditOf(number, change.key)))) lastThere = at
      else firstMissing = Math.min(firstMissing, at)
    }
    const before = calls.filter(({ at }) => at < lastThere).length
    const most = calls.filter(({ at }) => at < firstMissing).length
    const least = Math.max(acknowledged + 1, before)
    return { least, most: Math.max(least, most) }
  }

  /** Of each key a beginning of what is there in the end, of each lane a beginning of its positions, nothing by half. */
  #judgeSnapshot(snapshot: Contents, { audits }: Contents): void {
    const lastThere = new Map<number, number>()
    const firstMissing = new Map<number, number>()
    for (const history of this.#histories) {
      for (const { number, outcome } of history.called) {
        const { family, changes } = this.#operation(number)
        if (family !== 'a' || outcome.kind !== 'acknowledged') continue
        for (const [index, { key }] of changes.entries()) {
          // The places of an account and of its audit, for each key.
          const place = outcome.places[2 * index]
          if (place === undefined) continue
          const { lane, position } = place
          if (snapshot.audits.has(auditOf(number, key))) {
            lastThere.set(lane, Math.max(position, lastThere.get(lane) ?? 0))
          } else firstMissing.set(lane, Math.min(position, firstMissing.get(lane) ?? Infinity))
        }
      }
    }
    for (const [lane, position] of lastThere) {
      const missing = firstMissing.get(lane) ?? Infinity
      if (position > missing) {
        this.#blame('reordered', `lane ${lane} has position ${position}, and not ${missing}`)
      }
    }
    for (const [audit, times] of snapshot.audits) {
      if (times !== 1) this.#blame('doubled', `audit ${audit} was ${times} after a crash`)
      if (!audits.has(audit)) this.#blame('lost', `audit ${audit} was there after a crash`)
    }
    for (const key of everyKey().filter((other) => other.startsWith('a'))) {
      this.#judgeSnapshotOf(key, snapshot, audits)
    }
  }

  #judgeSnapshotOf(key: string, snapshot: Contents, audits: Contents['audits']): void {
    let account: Account | undefined
    let missing = false
    for (const history of this.#histories) {
      for (const { number, change } of this.#partOf(history, key).calls) {
        const audit = auditOf(number, key)
        if (!audits.has(audit)) continue
        if (!snapshot.audits.has(audit)) missing = true
        else if (missing) this.#blame('reordered', `audit ${audit} was there before its time`)
        else account = accountAfter(account, change)
      }
    }
    const row = snapshot.accounts.get(key)
    if (!sameAccount(account, row)) {
      this.#blame('wrong row', `${key} was ${textOf(row)} after a crash, not ${textOf(account)}`)
    }
  }
}

function named(what: string, index: number, text: string): [string, string] {
  return [`${what}-${index + 1}`, text]
}

/** What an account can be at the end of a process, given what it was at its beginning. */
function endsOf(
  start: Account | undefined,
  { calls, reads }: KeyHistory,
  { least, most }: { readonly least: number; readonly most: number },
): { readonly ends: (Account | undefined)[] } | { readonly problem: Violation } {
  const states = [start]
  for (const { change } of calls) states.push(accountAfter(states.at(-1), change))
  // Who found something in its place and wrote nothing says nothing of what was called before it.
  const wrote = calls.map(
    ({ outcome, change }, index) =>
      outcome.kind === 'acknowledged' &&
      (change.kind !== 'set-if-absent' || states[index] === undefined),
  )
  let atLeast = Math.max(least, wrote.lastIndexOf(true) + 1)
  for (const { begunAt, answeredAt, account } of reads) {
    const first =
      calls.findLastIndex(
        ({ outcome }, index) =>
          wrote[index] === true && outcome.kind === 'acknowledged' && outcome.at < begunAt,
      ) + 1
    const last = calls.filter(({ at }) => at < answeredAt).length
    const shown = states.findIndex(
      (state, index) => index >= first && index <= last && sameAccount(state, account),
    )
    if (shown < 0) {
      const some = states.slice(first, last + 1).map(textOf)
      return {
        problem: {
          kind: 'wrong read',
          text: `it read ${textOf(account)}, and there was ${some.slice(0, 4).join(', ')}`,
        },
      }
    }
    if (shown > most) {
      const text = `it read ${textOf(account)}, which a crash took back`
      return { problem: { kind: 'wrong read', text } }
    }
    // What was read must not be taken back.
    atLeast = Math.max(atLeast, shown)
  }
  return { ends: states.slice(atLeast, most + 1) }
}
