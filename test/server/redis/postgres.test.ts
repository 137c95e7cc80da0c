/** The same on PostgreSQL, with a table of one's own. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgres } from '../../../src/store/postgres/index.ts'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../../support/postgres-server.ts'
import { served } from './redis-fixture.ts'

const reason = postgresUnavailable()

describe.skipIf(reason !== undefined)(
  `on PostgreSQL${reason === undefined ? '' : ` (${reason})`}`,
  () => {
    let server: PostgresServer
    beforeAll(async () => {
      server = await startPostgres()
    })
    afterAll(() => server.stop())

    test('any client writes rows, and they end with their time', async () => {
      const { url } = server
      await administer(
        url,
        `create table users (
           id bigint primary key, name text, visits bigint not null default 0, balance numeric(12,2), prefs jsonb,
           active boolean, tags text[], photo bytea
         )`,
      )
      const { book, client } = await served({
        book: { store: postgres({ url }), lanes: 2 },
        caches: {
          users: { table: 'users', key: 'id', expire: 'delete', ttlMs: 1e11, rowExpiry: 'delete' },
        },
      })
      const redis = await client()
      await redis.call(
        'HSET',
        'users:1',
        'name',
        'Zo\u00c3\u00ab',
        'prefs',
        '{"a":[1]}',
        'active',
        'true',
      )
      await redis.call('HSET', 'users:1', 'tags', '["x","y"]', 'photo', '\u00ff\u0000')
      expect(await redis.call('HINCRBY', 'users:1', 'visits', 5)).toBe(5)
      expect(await redis.call('HINCRBYFLOAT', 'users:1', 'balance', '1.5')).toBe('1.50')
      await redis.call('SET', 'plain', 'value', 'EX', 100)
      await redis.call('HSET', 'users:2', 'name', 'Bob')
      expect(await redis.call('EXPIRE', 'users:2', 1000)).toBe(1)
      expect(await redis.call('WAIT', 1, 10_000)).toBe(1)
      expect(await administer(url, 'select * from users order by id')).toMatchObject([
        {
          id: '1',
          name: 'Zoë',
          visits: '5',
          balance: '1.50',
          prefs: { a: [1] },
          active: true,
          tags: ['x', 'y'],
        },
        { id: '2', name: 'Bob' },
      ])
      // Nothing but its end has changed.
      expect(await redis.call('EXPIRE', 'users:2', 2000)).toBe(1)
      await book.flush()
      await book.cache('users').invalidate('2')
      await book.cache('users').invalidate('1')
      expect(await redis.call('HGET', 'users:2', 'name')).toBe('Bob')
      expect(await redis.call('HMGET', 'users:1', 'photo', 'prefs')).toEqual([
        '\u00ff\u0000',
        '{"a":[1]}',
      ])
      expect(await redis.call('PEXPIRE', 'users:2', 1)).toBe(1)
      await expect.poll(() => redis.call('EXISTS', 'users:2')).toBe(0)
      await expect
        .poll(() => administer(url, 'select id from users'), { timeout: 20_000 })
        .toEqual([{ id: '1' }])
      expect(await redis.call('KEYS', '*')).toEqual(['plain', 'users:1'])
    })

    test('scores come back as they were, and SQL can order by them', async () => {
      const { url } = server
      const { book, client } = await served({ book: { store: postgres({ url }), lanes: 2 } })
      const redis = await client()
      const scores = ['-inf', '-1e+300', '-0.1', '4.9e-324', '12.5', '9007199254740993', '1e+22']
      await redis.call('ZADD', 'board', ...scores.flatMap((score, at) => [score, `m${at}`]))
      const before = await redis.call('ZRANGE', 'board', 0, -1, 'WITHSCORES')
      await book.flush()
      await book.cache('redis').invalidate('board')
      expect(await redis.call('ZRANGE', 'board', 0, -1, 'WITHSCORES')).toEqual(before)
      expect(
        await administer(
          url,
          `select name from daybook_values, jsonb_each(value::jsonb) as scores(name, score)
           where key = 'board' and jsonb_typeof(score) = 'number' and score between '1' and '1e21'
           order by score desc`,
        ),
      ).toEqual([{ name: 'm5' }, { name: 'm4' }])
    })
  },
)
