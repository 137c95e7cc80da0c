/** The description of the API against the API: every route is called, and its answer must be what is described. */

import { describe, expect, it } from 'vitest'
import { mismatch, type JsonSchema } from '../../../src/server/http/json-schema.ts'
import { routes } from '../../../src/server/http/routes.ts'
import { streamSchemas } from '../../../src/server/http/status-routes.ts'
import { user } from '../../support/book-fixture.ts'
import { refuse, send, serve, token, type Answer } from './http-fixture.ts'

interface Described {
  readonly openapi: string
  readonly info: { readonly version: string }
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: { readonly Error: JsonSchema } }
}

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly security?: readonly object[]
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: { readonly required: boolean }
  readonly responses: Record<
    string,
    { readonly content?: Record<string, { readonly schema?: JsonSchema }> }
  >
}

/** How each route is called so that it answers with content. */
const calls: Readonly<Record<string, { readonly path?: string; readonly body?: object }>> = {
  'GET /healthz': {},
  'GET /readyz': {},
  'GET /metrics': {},
  'GET /api/status': {},
  'GET /api/lanes': {},
  'GET /api/history': {},
  'POST /api/session': { body: { token } },
  'DELETE /api/session': {},
  'GET /api/caches': {},
  'GET /api/pending': { path: '/api/pending?limit=10' },
  'GET /api/caches/{cache}/keys': { path: '/api/caches/users/keys?prefix=o' },
  'GET /api/caches/{cache}/keys/{key}': { path: '/api/caches/users/keys/ok' },
  'POST /api/caches/{cache}/keys/{key}/invalidate': {
    path: '/api/caches/users/keys/nobody/invalidate',
  },
  'GET /api/dead-letters': {},
  'GET /api/dead-letters/groups': {},
  'GET /api/dead-letters/export': {},
  'GET /api/dead-letters/{id}': {},
  'GET /api/dead-letters/{id}/current': {},
  'POST /api/dead-letters/retry': { body: { filter: {}, first: 1 } },
  'POST /api/dead-letters/{id}/edit': { body: { merge: { visits: 2 } } },
  'POST /api/dead-letters/discard': { body: { filter: { key: 'gone' }, confirm: 1 } },
  'GET /api/options': {},
  'PATCH /api/options': { body: { stallMs: 1_000 } },
  'POST /api/pause': {},
  'POST /api/resume': {},
  'POST /api/flush': { body: { timeoutMs: 10_000 } },
  'POST /api/drain': {},
  'GET /api/audit': {},
  'GET /api/openapi.json': {},
}

async function described(url: string): Promise<Described> {
  return (await send(url, '/api/openapi.json')).json as unknown as Described
}

describe('the description', () => {
  it('has exactly the routes that there are, each with an id of its own', async () => {
    const { http } = await serve()
    const { openapi, paths } = await described(http.url)
    expect(openapi).toBe('3.1.0')
    const named = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(named.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort())
    const operations = Object.values(paths).flatMap((methods) => Object.values(methods))
    const ids = operations.map(({ operationId }) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { summary } of operations) expect(summary).toMatch(/^[A-Z].+\.$/)
  })

  it('names the parameters of each path, and says what works without the token', async () => {
    const { http } = await serve()
    const { paths } = await described(http.url)
    for (const { method, path, open } of routes) {
      const operation = paths[path]?.[method.toLowerCase()]
      const inPath = (operation?.parameters ?? []).filter((parameter) => parameter.in === 'path')
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      expect([path, inPath.map(({ name }) => name)]).toEqual([path, names])
      expect([path, operation?.security]).toEqual([path, open === true ? [] : undefined])
    }
  })

  it('is OpenAPI as it is sent: references are not written as values are', async () => {
    const { http } = await serve()
    const { text } = await send(http.url, '/api/openapi.json')
    const { paths, components } = JSON.parse(text) as Described
    expect(components.schemas.Error).toBeDefined()
    expect(paths['/api/status']?.['get']?.responses['default']?.content).toEqual({
      'application/json': { schema: { $ref: '#/components/schemas/Error' } },
    })
  })

  it('asks for a body wherever a request without a content type is refused', async () => {
    const { http } = await serve()
    const { paths } = await described(http.url)
    for (const { method, path } of routes) {
      const body = paths[path]?.[method.toLowerCase()]?.requestBody
      const isNeeded = method === 'POST' || method === 'PATCH'
      expect([method, path, body?.required]).toEqual([method, path, isNeeded ? true : undefined])
    }
    const headers = { authorization: `Bearer ${token}` }
    const answer = await send(http.url, '/api/pause', { method: 'POST', headers })
    expect(answer.status).toBe(415)
  })

  it('has the answer of a probe that says no', async () => {
    const { http, book, api } = await serve()
    const { paths } = await described(http.url)
    await book.close()
    const answer = await api('GET', '/readyz')
    expect(answer.status).toBe(503)
    expect(problemsWith(answer, paths['/readyz']?.['get']?.responses ?? {})).toBeUndefined()
  })
})

describe('every route', () => {
  it('answers as it is described', async () => {
    const served = await serve()
    const { http, users, book, store, api } = served
    const { paths } = await described(http.url)
    refuse(store, 'Mallory')
    for (const key of ['m1', 'm2', 'gone']) await users.set(key, user('Mallory', { email: key }))
    await users.set('ok', user('Ada'))
    await book.flush()
    await users.merge('ok', { visits: 1 })
    const first = (await api('GET', '/api/dead-letters')).json as { letters: { id: string }[] }
    const id = first.letters[1]?.id ?? ''
    for (const [name, call] of Object.entries(calls)) {
      const [method = '', template = ''] = name.split(' ')
      const path = call.path ?? template.replace('{id}', id)
      const answer = await api(method, path, method === 'GET' ? undefined : call.body)
      const responses = paths[template]?.[method.toLowerCase()]?.responses ?? {}
      expect([name, problemsWith(answer, responses)]).toEqual([name, undefined])
    }
    const uncalled = routes.filter(({ method, path }) => calls[`${method} ${path}`] === undefined)
    // It does not end by itself: see live.test.ts.
    expect(uncalled.map(({ path }) => path)).toEqual(['/api/live'])
  })

  it('fails as it is described', async () => {
    const { http, api } = await serve()
    const { components } = await described(http.url)
    for (const answer of [
      await api('GET', '/nowhere'),
      await api('GET', '/api/dead-letters/0-1'),
      await api('PATCH', '/api/options', { lanes: 1 }),
      await send(http.url, '/api/status'),
    ]) {
      expect(mismatch(components.schemas.Error, answer.json, 'answer')).toBeUndefined()
    }
  })

  it('has a schema for what the stream sends', () => {
    expect(mismatch(streamSchemas.happening, { atMs: 1, name: 'x', message: 'y' }, 'x')).toBe(
      undefined,
    )
    expect(mismatch(streamSchemas.figures, {}, 'figures')).toBe('figures.stats is missing')
  })
})

function problemsWith(answer: Answer, responses: Operation['responses']): string | undefined {
  const response = responses[String(answer.status)]
  if (response === undefined) return `status ${answer.status} is not described: ${answer.text}`
  const [type, content] = Object.entries(response.content ?? {})[0] ?? []
  if (type === undefined) return answer.text === '' ? undefined : 'content is not described'
  const given = answer.headers['content-type'] ?? ''
  if (!given.startsWith(type.split(';')[0] ?? '')) return `type ${given} is not ${type}`
  return content?.schema === undefined ? undefined : mismatch(content.schema, answer.json, 'answer')
}

describe('a schema', () => {
  it.each([
    [{ type: 'string' }, 5, 'x must be a string'],
    [{ type: 'string', enum: ['a'] }, 'b', 'x must be one of a'],
    [{ type: 'integer' }, 1.5, 'x must be a whole number'],
    [{ type: 'integer', minimum: 1 }, 0, 'x must be a whole number of at least 1'],
    [{ type: 'number', minimum: 1, maximum: 2 }, 3, 'x must be a number from 1 to 2'],
    [{ type: 'number' }, Infinity, 'x must be a number'],
    [{ type: 'boolean' }, 'true', 'x must be true or false'],
    [{ type: 'null' }, undefined, 'x must be null'],
    [{ type: 'array', items: {} }, {}, 'x must be an array'],
    [{ type: 'array', items: {}, maxItems: 1 }, [1, 2], 'x must have at most 1 items'],
    [{ type: 'array', items: { type: 'null' } }, [null, 1], 'x[1] must be null'],
    [{ type: 'object' }, [], 'x must be an object'],
    [{ type: 'object', required: ['a'] }, {}, 'x.a is missing'],
    [{ type: 'object', additionalProperties: false }, { b: 1 }, 'x has no member b'],
    [{ type: 'object', properties: { a: { type: 'null' } } }, { a: 1 }, 'x.a must be null'],
    [{ anyOf: [{ type: 'null' }, { type: 'boolean' }] }, 1, 'x must be null'],
  ] as [JsonSchema, unknown, string][])('%j refuses %j', (schema, value, problem) => {
    expect(mismatch(schema, value, 'x')).toBe(problem)
  })

  it('takes what fits, and names of objects’ own members are no members', () => {
    const schema: JsonSchema = { type: 'object', properties: {}, additionalProperties: false }
    expect(mismatch(schema, {}, 'x')).toBeUndefined()
    expect(mismatch(schema, JSON.parse('{"__proto__": 1}'), 'x')).toBe('x has no member __proto__')
    expect(mismatch(schema, { toString: 1 }, 'x')).toBe('x has no member toString')
    expect(mismatch({}, Symbol('anything'), 'x')).toBeUndefined()
  })
})
