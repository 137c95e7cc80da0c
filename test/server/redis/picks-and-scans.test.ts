/** Members that are picked at random, and those that are scanned page by page, of collections that change meanwhile. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sample } from '../../../src/server/redis/commands/sample.ts'
import { seededRandom } from '../../journal/journal-fixture.ts'
import { served, type RawClient, type Reply } from './redis-fixture.ts'

const random = seededRandom(20261127)

/** The commands of each type: members are fields of a hash. */
const types = {
  hash: {
    add: (names: readonly string[]) => ['HSET', 'k', ...names.flatMap((name) => [name, '1'])],
    remove: (names: readonly string[]) => ['HDEL', 'k', ...names],
    scan: 'HSCAN',
    pick: 'HRANDFIELD',
    list: 'HKEYS',
    step: 2,
  },
  set: {
    add: (names: readonly string[]) => ['SADD', 'k', ...names],
    remove: (names: readonly string[]) => ['SREM', 'k', ...names],
    scan: 'SSCAN',
    pick: 'SRANDMEMBER',
    list: 'SMEMBERS',
    step: 1,
  },
  'sorted set': {
    add: (names: readonly string[]) => ['ZADD', 'k', ...names.flatMap((name) => ['1', name])],
    remove: (names: readonly string[]) => ['ZREM', 'k', ...names],
    scan: 'ZSCAN',
    pick: 'ZRANDMEMBER',
    list: 'ZRANGEBYSCORE k -inf +inf',
    step: 2,
  },
} as const
const typeNames = Object.keys(types) as (keyof typeof types)[]

function namesOf(count: number): string[] {
  const odd = ['', '__proto__', '$type', '\u00ff\u0000', 'base64:', '7']
  return [...odd, ...Array.from({ length: count }, (_, at) => `member ${'x'.repeat(40)} ${at}`)]
}

function texts(reply: Reply | undefined): string[] {
  return Array.isArray(reply) ? reply.map(String) : []
}

const comingAndGoing = ['coming', 'going', '$', 'toString', ...namesOf(0)]
const changes = fc.array(
  fc.record({
    added: fc.subarray(comingAndGoing),
    removed: fc.subarray(comingAndGoing),
    end: fc.constantFrom('EXEC', 'DISCARD', undefined),
  }),
  { maxLength: 30, size: 'max' },
)

async function change(
  client: RawClient,
  type: (typeof types)[keyof typeof types],
  { added, removed, end }: { added: string[]; removed: string[]; end: string | undefined },
): Promise<void> {
  const commands = [
    ...(removed.length > 0 ? [type.remove(removed)] : []),
    ...(added.length > 0 ? [type.add(added), ['TYPE', 'k']] : []),
  ]
  await client.pipeline(end === undefined ? commands : [['MULTI'], ...commands, [end]])
}

describe('a scan', () => {
  test.for(typeNames)('of a %s gives each member once that is there all the time', async (name) => {
    const { client } = await served({ random })
    const redis = await client()
    const type = types[name]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(1, 40, 300, 700),
        fc.integer({ min: 1, max: 100 }),
        changes,
        async (size, count, between) => {
          await redis.call('FLUSHALL')
          const all = namesOf(size)
          const lasting = all.filter((member) => !comingAndGoing.includes(member))
          await redis.call(...type.add(all))
          const found: string[] = []
          let cursor = '0'
          let page = 0
          do {
            const given = between[page++]
            if (given !== undefined) await change(redis, type, given)
            const [next, items] = (await redis.call(
              ...[type.scan, 'k', cursor, 'COUNT', count],
            )) as [string, string[]]
            found.push(...items.filter((_, at) => at % type.step === 0))
            cursor = next
          } while (cursor !== '0')
          expect(found.filter((member) => lasting.includes(member)).sort()).toEqual(
            lasting.toSorted(),
          )
          const possible = new Set([...all, ...comingAndGoing])
          expect(found.filter((member) => !possible.has(member))).toEqual([])
        },
      ),
      { numRuns: 40, seed: 20261127 },
    )
  })
})

describe('a pick', () => {
  test('gives different ones as many as there are, or repeats them, and looks at no others', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: -50, max: 400 }),
        (size, n) => {
          const looked: number[] = []
          const at = (place: number): number => {
            looked.push(place)
            return place
          }
          const picked = sample({ size, at }, n, random)
          expect(picked).toHaveLength(n < 0 ? -n : Math.min(n, size))
          expect(picked.every((place) => place >= 0 && place < size)).toBe(true)
          if (n > 0) expect(new Set(picked).size).toBe(picked.length)
          expect(looked).toEqual(picked)
        },
      ),
      { seed: 20261127 },
    )
  })

  test('gives each as often as the others', () => {
    const counts = new Map<string, number>()
    const items = ['a', 'b', 'c', 'd']
    for (let run = 0; run < 12_000; run++) {
      const pair = sample({ size: 4, at: (place) => items[place] }, 2, random).join('')
      counts.set(pair, (counts.get(pair) ?? 0) + 1)
    }
    // Each of the twelve about a thousand times.
    expect(counts.size).toBe(12)
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })

  test.for(typeNames)('of a %s is what is there, whatever changes', async (name) => {
    const { client } = await served({ random })
    const redis = await client()
    const type = types[name]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(1, 58, 60, 300),
        fc.integer({ min: -20, max: 20 }),
        changes,
        async (size, count, given) => {
          await redis.call('FLUSHALL')
          await redis.call(...type.add(namesOf(size)))
          for (const each of given) {
            await change(redis, type, each)
            const [one, some, list] = await redis.pipeline([
              [type.pick, 'k'],
              [type.pick, 'k', String(count)],
              type.list.includes(' ') ? type.list.split(' ') : [type.list, 'k'],
            ])
            const there = new Set(texts(list))
            expect(texts([one ?? null]).every((member) => there.has(member))).toBe(true)
            const picked = texts(some)
            expect(picked).toHaveLength(count < 0 ? -count : Math.min(count, there.size))
            expect(picked.filter((member) => !there.has(member))).toEqual([])
          }
        },
      ),
      { numRuns: 40, seed: 20261127 },
    )
  })

  const pops = fc.array(
    fc.record({
      count: fc.constantFrom(undefined, 0, 1, 3, 70),
      way: fc.constantFrom('alone', 'EXEC', 'DISCARD', 'script'),
      added: fc.subarray(comingAndGoing),
    }),
    { maxLength: 20, size: 'max' },
  )

  test('that takes members out takes each once, in transactions and scripts too', async () => {
    const { client, book } = await served({ random })
    const redis = await client()
    let taken = 0
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(5, 90, 400), pops, async (size, steps) => {
        await redis.call('FLUSHALL')
        const there = new Set(namesOf(size))
        await redis.call('SADD', 'k', ...there)
        for (const { count, way, added } of steps) {
          const pop = count === undefined ? ['SPOP', 'k'] : ['SPOP', 'k', String(count)]
          const commands = [pop, ['SADD', 'k', 'last', ...added], pop, ['SCARD', 'k']]
          let replies: Reply[] = []
          if (way === 'alone') replies = await redis.pipeline(commands)
          else if (way === 'script') {
            const calls = commands.map(
              (words) => `redis.call(${words.map((word) => `'${luaText(word)}'`).join(', ')})`,
            )
            const reply = await redis.call('EVAL', `return {${calls.join(', ')}}`, 1, 'k')
            if (Array.isArray(reply)) replies = reply
          } else {
            const all = await redis.pipeline([['MULTI'], ...commands, [way]])
            const last = all.at(-1)
            if (!Array.isArray(last)) continue
            replies = last
          }
          const [first, , second, size] = replies
          for (const [at, reply] of [first, second].entries()) {
            const popped = texts(count === undefined ? [reply ?? null] : reply)
            expect(popped).toHaveLength(Math.min(count ?? 1, there.size))
            for (const member of popped) expect(there.delete(member)).toBe(true)
            taken += popped.length
            if (at === 0) for (const member of ['last', ...added]) there.add(member)
          }
          expect(size).toBe(there.size)
          expect(new Set(texts(await redis.call('SMEMBERS', 'k')))).toEqual(there)
          // Nothing to take the next time from.
          if (there.size === 0) break
        }
        await book.flush()
        await book.cache('redis').invalidate('k')
        expect(new Set(texts(await redis.call('SMEMBERS', 'k')))).toEqual(there)
      }),
      { numRuns: 40, seed: 20261127 },
    )
    expect(taken).toBeGreaterThan(1000)
  })
})

function luaText(word: string): string {
  return [...word]
    .map((character) => `\\${String(character.charCodeAt(0)).padStart(3, '0')}`)
    .join('')
}
