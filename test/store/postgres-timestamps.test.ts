import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { canonicalTimestamp, roundTimestamp } from '../../src/store/temporal.ts'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../support/postgres-server.ts'

const unavailable = postgresUnavailable()

describe.skipIf(unavailable !== undefined)(`rounding (${unavailable ?? 'private server'})`, () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())

  test('of timestamps is the database’s own', async () => {
    const year = fc.integer({ min: 1000, max: 9998 })
    const micros = fc.integer({ min: 0, max: 999_999 })
    const samples = fc.sample(fc.tuple(year, micros, fc.integer({ min: 0, max: 5 })), {
      numRuns: 500,
      seed: 7,
    })
    const given = samples.map(([y, micro, precision]) => ({
      precision,
      text: canonicalTimestamp(
        `${String(y).padStart(4, '0')}-12-31 23:59:59.${String(micro).padStart(6, '0')}`,
      ) as string,
    }))
    const values = given.map(({ text, precision }) => `('${text}'::timestamp(${precision})::text)`)
    const rows = await administer(server.url, `select * from (values ${values.join(',')}) v(t)`)
    expect(rows.map(({ t }) => canonicalTimestamp(t))).toEqual(
      given.map(({ text, precision }) => roundTimestamp(text, precision)),
    )
  })
})
