/** JSON schemas that several routes use. */

import type { JsonSchema } from './json-schema.ts'
import type { Parameter } from './route.ts'

type Members = Readonly<Record<string, JsonSchema>>

export const text = { type: 'string' } as const
export const flag = { type: 'boolean' } as const
export const amount = { type: 'number', minimum: 0 } as const
export const whole = { type: 'integer', minimum: 0 } as const
export const anything = { description: 'Any JSON value.' } as const
/** Tagged where JSON cannot say it. */
export const fields = {
  type: 'object',
  description: 'Columns of a row; see "Values" in the description of this API.',
} as const

/** Members beyond these may come with a later version. */
export function object(properties: Members, optional: Members = {}): JsonSchema {
  return {
    type: 'object',
    properties: { ...properties, ...optional },
    required: Object.keys(properties),
  }
}

/** Of a request: members beyond these are refused. */
export function request(properties: Members, optional: Members = {}): JsonSchema {
  const required = Object.keys(properties)
  return {
    type: 'object',
    properties: { ...properties, ...optional },
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
  }
}

export function list(items: JsonSchema): JsonSchema {
  return { type: 'array', items }
}

export function orNull(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: 'null' }] }
}

export const timeoutMs = {
  type: 'integer',
  minimum: 1,
  maximum: 600_000,
  description: 'Gives up waiting after this long, in ms; what is pending stays in the journal.',
} as const

export const defaultTimeoutMs = 30_000

export function timeoutOf(body: Readonly<Record<string, unknown>>): number {
  return typeof body.timeoutMs === 'number' ? body.timeoutMs : defaultTimeoutMs
}

export function query(name: string, schema: JsonSchema, description: string): Parameter {
  return { name, in: 'query', schema, description }
}

export function path(name: string, description: string): Parameter {
  return { name, in: 'path', schema: text, description }
}

export function pageParameters(maxLimit: number): Parameter[] {
  return [
    query('after', text, '`next` of the page before.'),
    query(
      'limit',
      { type: 'integer', minimum: 1, maximum: maxLimit },
      'Items of a page. Default 100.',
    ),
  ]
}

export const mutation = object(
  { kind: { type: 'string', enum: ['set', 'delete', 'patch'] } },
  { fields, amounts: fields, removed: fields },
)
