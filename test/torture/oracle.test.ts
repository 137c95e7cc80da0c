/**
 * Goal: the oracle sees every mistake that it is there for, and none where there is none.
 * Method: databases that are what some operations make of them, in some order, against histories that say otherwise.
 */

import { describe, expect, test } from 'vitest'
import { History } from '../../torture/history.ts'
import { Oracle, type Contents, type ViolationKind } from '../../torture/oracle.ts'
import { lineOf, reportOf, type Report } from '../../torture/reports.ts'
import {
  accountAfter,
  auditOf,
  operationOf,
  type Account,
  type Operation,
} from '../../torture/workload.ts'

const seed = 4711
const all = Array.from({ length: 400 }, (_, number) => operationOf(seed, number))
const numbers = all.map(({ number }) => number)

/** The database after these operations, one after the other. */
function contentsOf(applied: readonly number[]): Contents {
  const accounts = new Map<string, Account>()
  const audits = new Map<string, number>()
  for (const number of applied) {
    for (const { key } of operationOf(seed, number).changes) apply(number, key, accounts, audits)
  }
  return { accounts, audits }
}

function apply(
  number: number,
  key: string,
  accounts: Map<string, Account>,
  audits: Map<string, number>,
): void {
  const { family, changes } = operationOf(seed, number)
  const change = changes.find((other) => other.key === key)?.change
  if (change === undefined) return
  const after = accountAfter(accounts.get(key), change)
  if (after === undefined) accounts.delete(key)
  else accounts.set(key, after)
  const audit = auditOf(number, key)
  if (family === 'a') audits.set(audit, (audits.get(audit) ?? 0) + 1)
}

/** Called in this order, and acknowledged one by one, up to `acknowledged`. */
function historyOf(called: readonly number[], acknowledged = called.length): History {
  const history = new History()
  let position = 0
  for (const [index, number] of called.entries()) {
    history.add({ kind: 'intent', number })
    if (index >= acknowledged) continue
    const places = operationOf(seed, number).changes.flatMap(() => [
      { lane: 0, position: ++position },
      { lane: 0, position: ++position },
    ])
    history.add({ kind: 'acknowledged', number, places })
  }
  return history
}

function judged(contents: Contents, ...histories: History[]): ViolationKind[] {
  const oracle = new Oracle(seed)
  for (const history of histories) oracle.follow(history)
  return [...new Set(oracle.judge(contents).map(({ kind }) => kind))].sort()
}

function find(holds: (operation: Operation) => boolean): Operation {
  const found = all.find(holds)
  if (found === undefined) throw new Error('the workload has no such operation')
  return found
}

function without(number: number): number[] {
  return numbers.filter((other) => other !== number)
}

/** An operation of this family and kind, whose effect nothing later hides. */
function lasting(family: Operation['family'], kind: string): Operation {
  return find(
    ({ number, family: own, changes }) =>
      own === family &&
      changes.every(({ key, change }) => {
        const later = all.slice(number + 1).flatMap((other) => other.changes)
        const hiding = ['set', 'merge', 'delete']
        const hidden = later.some(
          (other) => other.key === key && hiding.includes(other.change.kind),
        )
        return change.kind === kind && !hidden
      }),
  )
}

describe('what is right', () => {
  test('all of it', () => {
    expect(judged(contentsOf(numbers), historyOf(numbers))).toEqual([])
  })

  test.each([0, 1, 7, 40])('what is not acknowledged, up to %i of its calls', (there) => {
    const history = historyOf(numbers, 360)
    expect(judged(contentsOf(numbers.slice(0, 360 + there)), history)).toEqual([])
  })

  test('a value that was found in its place says nothing of what failed before', () => {
    // An update that was called and lost with the journal, and a set-if-absent after it, which wrote nothing.
    const isOf = (operation: Operation, key: string): boolean =>
      operation.changes.some((change) => change.key === key)
    const { number: tried, changes } = find(({ number, changes: [first] }) => {
      if (first?.change.kind !== 'set-if-absent') return false
      const earlier = all.slice(0, number).filter((other) => isOf(other, first.key))
      const lost = earlier.at(-1)?.number ?? 0
      const before = contentsOf(numbers.slice(0, lost)).accounts.get(first.key)
      const after = contentsOf(numbers.slice(0, lost + 1)).accounts.get(first.key)
      return before !== undefined && after !== undefined && before.balance !== after.balance
    })
    const key = changes[0]?.key ?? ''
    const lost = all.slice(0, tried).findLast((other) => isOf(other, key))?.number ?? 0
    const history = historyOf(numbers.slice(0, lost))
    history.add({ kind: 'intent', number: lost })
    history.add({ kind: 'unknown', number: lost, code: 'JOURNAL_FAILED' })
    history.add({ kind: 'intent', number: tried })
    history.add({ kind: 'acknowledged', number: tried, places: [] })
    expect(judged(contentsOf(numbers.slice(0, lost)), history)).toEqual([])
  })

  test('several processes, each with an open end', () => {
    const first = historyOf(numbers.slice(0, 200), 150)
    const second = historyOf(numbers.slice(200), 190)
    const applied = [...numbers.slice(0, 170), ...numbers.slice(200, 395)]
    expect(judged(contentsOf(applied), first, second)).toEqual([])
  })

  test('what was refused is not there', () => {
    const history = historyOf(numbers)
    history.add({ kind: 'refused', number: 100, code: 'JOURNAL_FULL' })
    expect(judged(contentsOf(without(100)), history)).toEqual([])
  })

  test('reads of what was there', () => {
    const history = historyOf(numbers.slice(0, 300))
    const contents = contentsOf(numbers.slice(0, 300))
    for (const [read, key] of ['a0', 'p0', 's0', 'a39'].entries()) {
      history.add({ kind: 'read-begun', read, key })
      history.add({ kind: 'read', read, account: contents.accounts.get(key) })
    }
    expect(judged(contents, history)).toEqual([])
  })

  test('a database after a crash that has a beginning', () => {
    const oracle = new Oracle(seed)
    oracle.follow(historyOf(numbers))
    oracle.keep(contentsOf(numbers.slice(0, 123)))
    expect(oracle.judge(contentsOf(numbers))).toEqual([])
  })
})

describe('what is wrong', () => {
  test('an acknowledged batch is lost', () => {
    const { number } = find(({ family }) => family === 'a')
    expect(judged(contentsOf(without(number)), historyOf(numbers))).toContain('lost')
  })

  test.each([
    ['p', 'increment'],
    ['s', 'update'],
    ['p', 'merge'],
  ] as const)('an acknowledged call (%s, %s) is lost', (family, kind) => {
    const { number } = lasting(family, kind)
    expect(judged(contentsOf(without(number)), historyOf(numbers))).toContain('wrong row')
  })

  test('a batch is doubled', () => {
    const { number } = lasting('a', 'increment')
    const contents = contentsOf([...numbers.slice(0, number), number, ...numbers.slice(number)])
    expect(judged(contents, historyOf(numbers))).toContain('doubled')
  })

  test.each([
    ['p', 'increment'],
    ['s', 'increment'],
    ['s', 'update'],
  ] as const)('a call (%s, %s) is doubled', (family, kind) => {
    const { number } = lasting(family, kind)
    const contents = contentsOf([...numbers.slice(0, number), number, ...numbers.slice(number)])
    expect(judged(contents, historyOf(numbers))).toContain('wrong row')
  })

  test('a batch is there by half', () => {
    const { number, changes } = find((one) => one.family === 'a' && one.changes.length > 1)
    const called = numbers.slice(0, number + 1)
    const { accounts, audits } = contentsOf(called.slice(0, -1))
    const both = { accounts: new Map(accounts), audits: new Map(audits) }
    apply(number, changes[0]?.key ?? '', both.accounts, both.audits)
    expect(judged(both, historyOf(called, number))).toContain('halved')
  })

  test('something earlier is missing', () => {
    const { number } = find(({ family, number: at }) => family === 'a' && at > 350 && at < 390)
    expect(judged(contentsOf(without(number)), historyOf(numbers, 350))).toContain('reordered')
  })

  test('one key has its changes in another order', () => {
    const [one, other] = all.filter(({ changes }) => changes.some(({ key }) => key === 's0'))
    const at = other?.number ?? 0
    const first = one?.number ?? 0
    const applied = [...without(first).slice(0, at), first, ...numbers.slice(at + 1)]
    const contents = contentsOf(applied.filter((number) => number <= at))
    expect(judged(contents, historyOf(numbers.slice(0, at + 1)))).toContain('wrong row')
  })

  test('nobody wrote it', () => {
    const { number } = find(({ family, number: at }) => family === 'a' && at > 300)
    expect(judged(contentsOf(numbers), historyOf(without(number)))).toContain('foreign')
  })

  test('it was refused', () => {
    const { number } = find(({ family }) => family === 'a')
    const history = historyOf(numbers)
    history.add({ kind: 'refused', number, code: 'OVERLOADED' })
    expect(judged(contentsOf(numbers), history)).toContain('foreign')
  })

  test('a stale process wrote it', () => {
    const { number } = find(({ family, number: at }) => family === 'a' && at > 300)
    const oracle = new Oracle(seed)
    oracle.follow(historyOf(numbers.slice(0, number)))
    oracle.followStrayed(historyOf([number]))
    const kinds = oracle.judge(contentsOf(numbers.slice(0, number + 1))).map(({ kind }) => kind)
    expect(kinds).toContain('foreign')
  })

  test.each(['a0', 'p0', 's0'])('%s is read as it was before', (key) => {
    const last = all.findLast(({ changes }) => changes.some((one) => one.key === key))?.number ?? 0
    const history = historyOf(numbers)
    history.add({ kind: 'read-begun', read: 1, key })
    history.add({
      kind: 'read',
      read: 1,
      account: contentsOf(numbers.slice(0, last)).accounts.get(key),
    })
    expect(judged(contentsOf(numbers), history)).toContain('wrong read')
  })

  test.each(['a0', 'p0', 's0'])('%s is read, and a crash takes it back', (key) => {
    const last =
      all.findLast(({ changes }) =>
        changes.some((one) => one.key === key && one.change.kind !== 'set-if-absent'),
      )?.number ?? 0
    const called = numbers.slice(0, last + 1)
    const history = historyOf(called, last)
    history.add({ kind: 'read-begun', read: 1, key })
    history.add({ kind: 'read', read: 1, account: contentsOf(called).accounts.get(key) })
    const kinds = judged(contentsOf(numbers.slice(0, last)), history)
    expect(kinds.filter((kind) => kind === 'wrong read' || kind === 'wrong row')).toHaveLength(1)
  })

  test('an error has no reason', () => {
    const history = historyOf(numbers)
    history.add({ kind: 'intent', number: 1_000 })
    history.add({ kind: 'unknown', number: 1_000, code: 'INVALID_VALUE' })
    expect(judged(contentsOf(numbers), history)).toEqual(['wrong error'])
  })

  test('a crash has left a database that is no beginning', () => {
    const batches = all.filter(({ family }) => family === 'a')
    const missing = batches[10]?.number ?? 0
    const oracle = new Oracle(seed)
    oracle.follow(historyOf(numbers))
    oracle.keep(contentsOf(numbers.slice(0, 300).filter((number) => number !== missing)))
    const kinds = oracle.judge(contentsOf(numbers)).map(({ kind }) => kind)
    expect(kinds).toContain('reordered')
  })

  test('a crash has left a row without its audit', () => {
    const { number, changes } = lasting('a', 'increment')
    const snapshot = contentsOf(numbers)
    const audits = new Map(snapshot.audits)
    audits.delete(auditOf(number, changes[0]?.key ?? ''))
    const oracle = new Oracle(seed)
    oracle.follow(historyOf(numbers))
    oracle.keep({ ...snapshot, audits })
    const kinds = oracle.judge(contentsOf(numbers)).map(({ kind }) => kind)
    expect(kinds).toContain('wrong row')
  })
})

describe('a report', () => {
  const account = { balance: 1, hits: 2, tag: null, pad: 'x' }
  const reports: Report[] = [
    { kind: 'intent', number: 17 },
    { kind: 'acknowledged', number: 17, places: [{ lane: 0, position: 31 }] },
    { kind: 'acknowledged', number: 18, places: [] },
    { kind: 'refused', number: 19, code: 'OVERLOADED' },
    { kind: 'unknown', number: 20, code: 'JOURNAL_FAILED' },
    { kind: 'read-begun', read: 4, key: 'a12' },
    { kind: 'read', read: 4, account },
    { kind: 'read', read: 5, account: undefined },
    { kind: 'read-failed', read: 6, code: 'TIMEOUT' },
  ]
  test.each(reports)('is read as it was written: %j', (report) => {
    expect(reportOf(lineOf(report).trimEnd())).toEqual(report)
  })

  test('that is none is not taken for one', () => {
    expect(() => reportOf('z 1')).toThrow('cannot be read')
  })
})
