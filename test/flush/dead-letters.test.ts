import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { Logger } from '../../src/base/log.ts'
import { silentLogger } from '../../src/base/log.ts'
import type { DeadLetterFilter } from '../../src/flush/dead-letter.ts'
import { DeadLetters, type DeadLetter } from '../../src/flush/dead-letters.ts'
import { LineLog } from '../../src/flush/line-log.ts'
import { FakeDisk, fileError, type Operation } from '../support/fake-disk.ts'
import { ManualClock } from '../support/manual-clock.ts'

const path = 'book/dead-letters.log'
const clock = new ManualClock()

function open(disk: FakeDisk, maxBytes?: number, logger?: Logger): Promise<DeadLetters> {
  return DeadLetters.open({ files: disk, path, clock, maxBytes, logger })
}

function letterOf(position: number, changes: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id: `0-${position}`,
    cache: 'users',
    key: `key-${position}`,
    lane: 0,
    position,
    mutation: { kind: 'set', fields: { name: `name-${position}` } },
    reason: 'rejected',
    failure: { kind: 'rejected', code: '23514', message: 'check constraint "positive"' },
    attempts: 1,
    deadAtMs: 1000 + position,
    ...changes,
  }
}

/** Every letter, through pages of three. */
async function all(letters: DeadLetters, filter: DeadLetterFilter = {}): Promise<DeadLetter[]> {
  const found: DeadLetter[] = []
  let after: string | undefined
  do {
    const page = await letters.list(filter, { after, limit: 3 })
    found.push(...page.letters)
    after = page.next
  } while (after !== undefined)
  return found
}

async function ids(letters: DeadLetters, filter: DeadLetterFilter = {}): Promise<string[]> {
  return (await all(letters, filter)).map((letter) => letter.id)
}

async function reopened(disk: FakeDisk, before: DeadLetters): Promise<DeadLetters> {
  await before.close()
  return open(disk)
}

function failOnce(disk: FakeDisk, operation: Operation, error: Error): void {
  disk.fault = (op) => {
    if (op !== operation) return
    disk.fault = () => undefined
    throw error
  }
}

test('a letter comes back whole, bigint, bytes and all, before and after a restart', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  const letter = letterOf(7, {
    mutation: {
      kind: 'patch',
      fields: {
        photo: new Uint8Array([0, 255]),
        big: 2n ** 63n,
        json: { $bigint: 'no' },
        gone: null,
      },
      amounts: { visits: 3n, price: '0.10' },
    },
    reason: 'parked',
    behind: '0-5',
    writtenAtMs: 5,
    retryOf: '0-3',
    group: '0-6',
  })
  await letters.add([letter])
  expect(await letters.get('0-7')).toStrictEqual(letter)
  const again = await reopened(disk, letters)
  expect(await again.get('0-7')).toStrictEqual(letter)
  expect(again.count).toBe(1)
  expect(again.bytes).toBe(letters.bytes)
  expect(await again.get('0-8')).toBeUndefined()
})

test('adding is durable when it resolves, and adding again changes nothing', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1), letterOf(2), letterOf(1)])
  const size = disk.contents(path).length
  await letters.add([letterOf(2, { attempts: 9 })])
  expect(disk.contents(path).length).toBe(size)
  const again = await open(disk.restarted(false))
  expect(await ids(again)).toEqual(['0-1', '0-2'])
  expect((await again.get('0-2'))?.attempts).toBe(1)
})

test('settled letters are gone for good, and a withdrawn one may come back', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1), letterOf(2), letterOf(3)])
  await letters.settle(['0-1', 'unknown', '0-1'], 'discarded')
  await letters.settle(['0-2'], 'withdrawn')
  await letters.add([letterOf(2, { attempts: 2 })])
  expect(await ids(letters)).toEqual(['0-2', '0-3'])
  const again = await open(disk.restarted(false))
  expect(await ids(again)).toEqual(['0-2', '0-3'])
  expect((await again.get('0-2'))?.attempts).toBe(2)
  expect(again.bytes).toBe(letters.bytes)
})

test('what was discarded is known for as long as the journal has it, in a file written anew too', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1), letterOf(7), letterOf(9, { id: '2-9', lane: 2 })])
  await letters.settle(['0-1', '0-7', '2-9'], 'discarded')
  expect([letters.isDiscarded('0-7'), letters.isDiscarded('0-8')]).toEqual([true, false])
  letters.forgetDiscarded(7)
  // Enough that the file is written anew.
  const large = letterOf(20, { mutation: { kind: 'set', fields: { text: 'x'.repeat(1.5e6) } } })
  await letters.add([large])
  await letters.settle(['0-20'], 'retried')
  expect(disk.contents(path).length).toBeLessThan(10_000)
  const again = await open(disk.restarted(false))
  expect([...again.discardedBeyond(0, 0)]).toEqual([7])
  expect([...again.discardedBeyond(0, 7)]).toEqual([])
  expect([...again.discardedBeyond(2, 0)]).toEqual([9])
})

test('a letter that an older version decided again after its discard is a letter, not discarded', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1)])
  await letters.settle(['0-1'], 'discarded')
  // The older version forgot its discards.
  letters.forgetDiscarded(Infinity)
  await letters.add([letterOf(1)])
  const again = await open(disk.restarted(false))
  expect(await ids(again)).toEqual(['0-1'])
  expect(again.isDiscarded('0-1')).toBe(false)
})

test('letters beyond the store’s checkpoints are withdrawn, lane by lane', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  const inLane = (lane: number, position: number) =>
    letterOf(position, { id: `${lane}-${position}`, lane })
  await letters.add([inLane(0, 10), inLane(0, 11), inLane(1, 12), inLane(1, 20), inLane(2, 30)])
  expect(await letters.withdrawBeyond([10, Infinity])).toBe(1)
  expect(await letters.withdrawBeyond([10, 12, 29])).toBe(2)
  expect(await letters.withdrawBeyond([10, 12, 29])).toBe(0)
  expect(await ids(await open(disk.restarted(false)))).toEqual(['0-10', '1-12'])
})

test('the letters of a key are in the order of their origin, retries where they stood', async () => {
  const letters = await open(new FakeDisk())
  const ofA = (position: number, id = `0-${position}`) => letterOf(position, { id, key: 'a' })
  await letters.add([ofA(30), ofA(10), letterOf(15), ofA(40, '0-40.20')])
  expect(letters.ofKey('users', 'a')).toEqual(['0-10', '0-40.20', '0-30'])
  await letters.settle(['0-10'], 'retried')
  expect(letters.ofKey('users', 'a')).toEqual(['0-40.20', '0-30'])
  await letters.settle(['0-40.20', '0-30'], 'retried')
  expect(letters.ofKey('users', 'a')).toEqual([])
  expect(letters.ofKey('orders', 'a')).toEqual([])
  expect(letters.ofKey('users', '__proto__')).toEqual([])
})

test('a superseded letter holds up its key no more, says so, and stays after a restart', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1, { key: 'a' }), letterOf(2, { key: 'a' })])
  await letters.supersede(['0-1', 'unknown'])
  const size = disk.contents(path).length
  await letters.supersede(['0-1'])
  expect(disk.contents(path).length).toBe(size)
  const again = await open(disk.restarted(false))
  for (const book of [letters, again]) {
    expect(book.ofKey('users', 'a')).toEqual(['0-2'])
    expect(await book.get('0-1')).toMatchObject({ id: '0-1', superseded: true })
    expect((await book.get('0-2'))?.superseded).toBeUndefined()
    expect(book.count).toBe(2)
  }
})

test('letters that would not all fit are refused together, and fit once others are settled', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1)])
  const bytes = letters.bytes
  await letters.close()
  const small = await open(disk, 3 * bytes - 1)
  const size = disk.contents(path).length
  await expect(small.add([letterOf(2), letterOf(3)])).rejects.toMatchObject({
    code: 'DEAD_LETTERS_FULL',
    details: { count: 1, bytes, maxBytes: 3 * bytes - 1, needed: 2 * bytes },
  })
  expect(disk.contents(path).length).toBe(size)
  await small.settle(['0-1'], 'discarded')
  await small.add([letterOf(2), letterOf(3)])
  expect(await ids(small)).toEqual(['0-2', '0-3'])
})

test('filters select by cache, key, prefix, failure, text, reason and time, and combine', async () => {
  const letters = await open(new FakeDisk())
  const failure = { kind: 'rejected', code: '23505', message: 'unique "email"' } as const
  await letters.add([
    letterOf(1, { key: 'a:1', deadAtMs: 100 }),
    letterOf(2, { key: 'a:2', deadAtMs: 200, failure }),
    letterOf(3, { key: 'b:1', deadAtMs: 300, reason: 'parked', behind: '0-2' }),
    letterOf(4, { key: 'a:1', deadAtMs: 400, cache: 'orders' }),
  ])
  expect(await ids(letters, { cache: 'orders' })).toEqual(['0-4'])
  expect(await ids(letters, { key: 'a:1' })).toEqual(['0-1', '0-4'])
  expect(await ids(letters, { keyPrefix: 'a:' })).toEqual(['0-1', '0-2', '0-4'])
  expect(await ids(letters, { code: '23505' })).toEqual(['0-2'])
  expect(await ids(letters, { reason: 'parked' })).toEqual(['0-3'])
  expect(await ids(letters, { sinceMs: 200, untilMs: 300 })).toEqual(['0-2', '0-3'])
  expect(await ids(letters, { cache: 'users', keyPrefix: 'a:', untilMs: 199 })).toEqual(['0-1'])
  expect(await ids(letters, { key: 'none' })).toEqual([])
  expect(await ids(letters, { message: 'unique "email"' })).toEqual(['0-2'])
  expect(await ids(letters, { message: 'unique' })).toEqual([])
  expect(await ids(letters, { text: 'UNIQUE' })).toEqual(['0-2'])
  expect(await ids(letters, { text: 'B:' })).toEqual(['0-3'])
  expect(letters.matching({ keyPrefix: 'a:' })).toBe(3)
  expect(letters.matching({ keyPrefix: 'a:', code: '23505' })).toBe(1)
  await letters.settle(['0-2'], 'discarded')
  expect(letters.matching({ keyPrefix: 'a:' })).toBe(2)
})

test('letters are listed by position, however they came, and a cursor survives the letter it names', async () => {
  const letters = await open(new FakeDisk())
  for (const position of [5, 3, 9, 1, 7]) await letters.add([letterOf(position)])
  const first = await letters.list({}, { limit: 2 })
  expect(first.letters.map((letter) => letter.id)).toEqual(['0-1', '0-3'])
  expect(first.next).toBe('0-3')
  await letters.settle(['0-3', '0-5'], 'discarded')
  await letters.add([letterOf(2), letterOf(8)])
  const second = await letters.list({}, { after: first.next, limit: 10 })
  expect(second.letters.map((letter) => letter.id)).toEqual(['0-7', '0-8', '0-9'])
  expect(second.next).toBeUndefined()
})

test('a page with exactly the last letters says that nothing follows', async () => {
  const letters = await open(new FakeDisk())
  await letters.add([letterOf(1), letterOf(2)])
  const page = await letters.list({}, { limit: 2 })
  expect(page).not.toHaveProperty('next')
})

test('a page ends early where letters are large, but has at least one', async () => {
  const letters = await open(new FakeDisk())
  const large = { mutation: { kind: 'set', fields: { text: 'x'.repeat(9_000_000) } } } as const
  await letters.add([letterOf(1, large), letterOf(2, large), letterOf(3)])
  const page = await letters.list({}, { limit: 10 })
  expect(page.letters.map((letter) => letter.id)).toEqual(['0-1'])
  expect(page.next).toBe('0-1')
})

test.each([
  [{ limit: 0 }, 'limit'],
  [{ limit: 10_001 }, 'limit'],
  [{ limit: NaN }, 'limit'],
  [{ limit: 1, after: 'nonsense' }, 'after'],
])('a page of %o is refused', async (page, option) => {
  const letters = await open(new FakeDisk())
  await expect(letters.list({}, page)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    details: { path: option },
  })
})

test('letters that failed alike are one group, the most frequent first', async () => {
  const letters = await open(new FakeDisk())
  const failure = { kind: 'rejected', code: '23505', message: 'unique "email"' } as const
  await letters.add([
    letterOf(1, { failure }),
    letterOf(3),
    letterOf(2),
    letterOf(4, { cache: 'orders' }),
  ])
  const { code, message } = letterOf(1).failure
  expect(letters.groups()).toEqual([
    { cache: 'users', code, message, count: 2, oldestMs: 1002 },
    { cache: 'users', code: '23505', message: 'unique "email"', count: 1, oldestMs: 1001 },
    { cache: 'orders', code, message, count: 1, oldestMs: 1004 },
  ])
})

test('calls made at once take their turns', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  const results = await Promise.all([
    letters.add([letterOf(1), letterOf(2)]),
    letters.get('0-1'),
    letters.settle(['0-1'], 'discarded'),
    letters.get('0-1'),
    letters.add([letterOf(3)]),
    letters.list({}, { limit: 10 }),
  ])
  expect(results[1]?.id).toBe('0-1')
  expect(results[3]).toBeUndefined()
  expect(results[5].letters.map((letter) => letter.id)).toEqual(['0-2', '0-3'])
})

test('a full disk adds nothing and can be tried again', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  failOnce(disk, 'writeDurably', fileError('ENOSPC', 'write'))
  await expect(letters.add([letterOf(1)])).rejects.toMatchObject({ code: 'JOURNAL_FULL' })
  expect(letters.count).toBe(0)
  await letters.add([letterOf(1)])
  expect(await ids(await open(disk.restarted(false)))).toEqual(['0-1'])
})

test('after a failed sync nothing is added or settled, and what is there can be read', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1)])
  failOnce(disk, 'sync', fileError('EIO', 'fdatasync'))
  await expect(letters.add([letterOf(2)])).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
  await expect(letters.settle(['0-1'], 'discarded')).rejects.toMatchObject({
    code: 'JOURNAL_FAILED',
  })
  expect(await ids(letters)).toEqual(['0-1'])
})

test('many letters go in several lines, and each is found', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  const many = Array.from({ length: 1000 }, (_, index) => letterOf(index + 1))
  await letters.add(many)
  expect(await letters.get('0-777')).toStrictEqual(letterOf(777))
  await letters.settle(
    many.slice(0, 999).map((letter) => letter.id),
    'discarded',
  )
  expect(await ids(await reopened(disk, letters))).toEqual(['0-1000'])
})

const large = (position: number) =>
  letterOf(position, { mutation: { kind: 'set', fields: { text: 'x'.repeat(300_000) } } })

test('the file shrinks when most of it is settled, and keeps what is not, whatever step crashes', async () => {
  for (let steps = 1; ; steps++) {
    const disk = new FakeDisk()
    const letters = await open(disk)
    await letters.add([1, 2, 3, 4, 5, 6, 7].map(large))
    await letters.add([letterOf(8), letterOf(9)])
    await letters.supersede(['0-9'])
    const before = disk.contents(path).length
    disk.crashAt = disk.steps + steps
    let crashed = false
    let settled = false
    try {
      await letters.settle(['0-1', '0-2', '0-3', '0-4', '0-5', '0-6'], 'discarded')
      settled = true
      await letters.add([letterOf(10)])
    } catch {
      crashed = true
    }
    for (const keep of [false, true]) {
      const again = await open(disk.restarted(keep))
      const found = await ids(again)
      const rest = ['0-7', '0-8', '0-9']
      const possible = settled
        ? [rest]
        : [['0-1', '0-2', '0-3', '0-4', '0-5', '0-6', ...rest], rest]
      expect(crashed ? [...possible, [...rest, '0-10']] : [[...rest, '0-10']]).toContainEqual(found)
      expect(await again.get('0-7')).toStrictEqual(large(7))
      expect(await again.get('0-9')).toMatchObject({ superseded: true })
      expect(again.ofKey('users', 'key-9')).toEqual([])
    }
    if (crashed) continue
    expect(disk.contents(path).length).toBeLessThan(before / 4)
    expect(await letters.get('0-7')).toStrictEqual(large(7))
    expect(await letters.get('0-8')).toStrictEqual(letterOf(8))
    expect(await ids(letters)).toEqual(['0-7', '0-8', '0-9', '0-10'])
    break
  }
})

test('a compaction that fails harms nothing, is reported, and is tried again later', async () => {
  const disk = new FakeDisk()
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (_: object, message: string) => warnings.push(message) }
  const letters = await open(disk, undefined, logger)
  await letters.add(Array.from({ length: 12 }, (_, index) => large(index + 1)))
  failOnce(disk, 'rename', fileError('EIO', 'rename'))
  await letters.settle(['0-1', '0-2', '0-3', '0-4', '0-5', '0-6', '0-7'], 'discarded')
  expect(warnings).toHaveLength(1)
  await letters.settle(['0-8'], 'discarded')
  expect(disk.contents(path).length).toBeGreaterThan(3_000_000)
  expect(await letters.get('0-9')).toStrictEqual(large(9))
  await letters.add([13, 14, 15, 16].map(large))
  await letters.settle(['0-13', '0-14', '0-15', '0-16'], 'discarded')
  expect(disk.contents(path).length).toBeLessThan(1_500_000)
  expect(await ids(await reopened(disk, letters))).toEqual(['0-9', '0-10', '0-11', '0-12'])
})

test('once closed, what needs the file is refused', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1)])
  await Promise.all([letters.close(), letters.close()])
  await letters.close()
  expect(disk.openFiles).toBe(0)
  const closed = { code: 'CLOSED' }
  await expect(letters.add([letterOf(2)])).rejects.toMatchObject(closed)
  await expect(letters.settle(['0-1'], 'retried')).rejects.toMatchObject(closed)
  await expect(letters.supersede(['0-1'])).rejects.toMatchObject(closed)
  await expect(letters.withdrawBeyond([0])).rejects.toMatchObject(closed)
  await expect(letters.get('0-1')).rejects.toMatchObject(closed)
  await expect(letters.list({}, { limit: 1 })).rejects.toMatchObject(closed)
  expect(letters.count).toBe(1)
})

test.each([
  ['a newer format', ['{"daybook":"dead letters","version":3}'], 'JOURNAL_VERSION'],
  ['another file', ['{"daybook":"caches","version":1}'], 'JOURNAL_FOREIGN'],
  ['text that is no JSON', ['hello'], 'JOURNAL_FOREIGN'],
  ['no object', ['7'], 'JOURNAL_FOREIGN'],
  [
    'an unknown record',
    ['{"daybook":"dead letters","version":2}', '{"unheard":1}'],
    'JOURNAL_CORRUPT',
  ],
  [
    'a letter without a key',
    ['{"daybook":"dead letters","version":2}', '{"letters":[{"id":"0-1"}]}'],
    'JOURNAL_CORRUPT',
  ],
])('%s is refused', async (_, [first = '', ...rest], code) => {
  const disk = new FakeDisk()
  const log = await LineLog.open(disk, path, first, () => undefined)
  for (const text of rest) await log.append(text)
  await log.close()
  await expect(open(disk)).rejects.toMatchObject({ code, details: { file: path } })
  expect(disk.openFiles).toBe(0)
})

test('a line that changed under the running book is found when it is read', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1)])
  disk.damage(path, letters.bytes)
  await expect(letters.get('0-1')).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' })
  await expect(letters.list({}, { limit: 1 })).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' })
})

test('any damage is refused or takes nothing, but where it takes the seal too', async () => {
  const disk = new FakeDisk()
  const letters = await open(disk)
  await letters.add([letterOf(1), letterOf(2)])
  await letters.settle(['0-1'], 'discarded')
  await letters.add([letterOf(3)])
  await letters.close()
  const whole = disk.contents(path)
  const seal = Buffer.from(whole).lastIndexOf('\n', -2) + 1
  const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 4 }),
      fc.nat(whole.length),
      async (changes, end) => {
        const bytes = whole.slice()
        for (const { at, byte } of changes) bytes[at] = byte
        for (const damaged of [bytes, bytes.subarray(0, end)]) {
          const copy = new FakeDisk()
          copy.put(path, damaged)
          try {
            const found = await ids(await open(copy))
            const states = [['0-2', '0-3'], ['0-2'], ['0-1', '0-2'], []]
            const isSealed = bytes.subarray(seal).every((byte, at) => byte === whole[seal + at])
            expect(damaged === bytes && isSealed ? states.slice(0, 1) : states).toContainEqual(
              found,
            )
          } catch (error) {
            expect(error).toMatchObject({ code: 'JOURNAL_CORRUPT' })
          }
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('the file and the memory agree with a model, whatever is done', async () => {
  const id = fc.integer({ min: 1, max: 12 }).map((position) => `0-${position}`)
  const idList = fc.array(id, { maxLength: 5 })
  const step = fc.oneof(
    fc.record({ add: idList }),
    fc.record({ settle: idList }),
    fc.record({ supersede: idList }),
    fc.record({ withdraw: fc.nat(12) }),
    fc.record({ trim: fc.nat(12) }),
    fc.constant({ restart: true }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      let disk = new FakeDisk()
      let letters = await open(disk)
      const model = new Map<string, boolean>()
      const discarded = new Set<string>()
      const positionOf = (name: string): number => Number(name.slice(2))
      for (const action of steps) {
        if ('add' in action) {
          const key = { key: 'a' }
          await letters.add(action.add.map((name) => letterOf(positionOf(name), key)))
          // What was given up does not come back.
          for (const name of action.add) {
            if (!model.has(name) && !discarded.has(name)) model.set(name, false)
          }
        } else if ('settle' in action) {
          await letters.settle(action.settle, 'discarded')
          for (const name of action.settle) if (model.delete(name)) discarded.add(name)
        } else if ('trim' in action) {
          letters.forgetDiscarded(action.trim)
          for (const name of discarded) if (positionOf(name) < action.trim) discarded.delete(name)
        } else if ('supersede' in action) {
          await letters.supersede(action.supersede)
          for (const name of action.supersede) if (model.has(name)) model.set(name, true)
        } else if ('withdraw' in action) {
          await letters.withdrawBeyond([action.withdraw])
          for (const name of model.keys())
            if (positionOf(name) > action.withdraw) model.delete(name)
        } else {
          disk = disk.restarted(false)
          letters = await open(disk)
          // The file has those too that the journal has let go of; the next trim forgets them again.
          discarded.clear()
          for (const position of letters.discardedBeyond(0, 0)) discarded.add(`0-${position}`)
        }
        const remembered = [...letters.discardedBeyond(0, 0)].map((position) => `0-${position}`)
        expect(remembered.sort()).toEqual([...discarded].sort())
        const expected = [...model.keys()].sort((a, b) => positionOf(a) - positionOf(b))
        expect(await ids(letters)).toEqual(expected)
        expect(letters.count).toBe(expected.length)
        expect(letters.ofKey('users', 'a')).toEqual(
          expected.filter((name) => model.get(name) === false),
        )
        expect(letters.bytes > 0).toBe(expected.length > 0)
      }
    }),
    { numRuns: 100 },
  )
})
