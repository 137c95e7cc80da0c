/** The OpenAPI 3.1 description of the API, made from the table of routes: what is described is what is there. */

import type { JsonSchema } from './json-schema.ts'
import type { Parameter, Route } from './route.ts'

const about = `Administration of a running daybook: what is pending, how old it is, what was refused and why.

**Access.** \`Authorization: Bearer <token>\`, or for browsers a cookie from \`POST /api/session\`. What changes something is
noted in the audit log. Where too many wrong tokens came from an address, every token from there is refused for a minute, with
429, \`TOO_MANY_ATTEMPTS\` and a \`Retry-After\` header; cookies work on.

**Values.** What JSON cannot say travels under a tag: \`{"$bigint":"123"}\`, \`{"$bytes":"<base64>"}\`, \`{"$number":"NaN"}\`. A name of
the value's own that starts with \`$\` has one more.

**Errors** are \`{"error": {"code", "message", "hint"?, "details"?}}\`.`

const errorSchema: JsonSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: {
        code: { type: 'string' },
        message: { type: 'string' },
        hint: { type: 'string' },
        details: {},
      },
    },
  },
}

const none: JsonSchema = { type: 'object', additionalProperties: false }

export function openApi(routes: readonly Route[], version: string): object {
  const paths = new Map<string, Record<string, object>>()
  for (const route of routes) {
    const item = paths.get(route.path) ?? {}
    item[route.method.toLowerCase()] = operationOf(route)
    paths.set(route.path, item)
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Daybook', version, description: about },
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: errorSchema },
    },
    security: [{ token: [] }],
  }
}

function operationOf(route: Route): object {
  const { tag, summary, parameters = [], body, result, open, method } = route
  const { description, type = 'application/json', schema, otherStatus } = result
  const isEmpty = schema === undefined && result.type === undefined
  const content = isEmpty ? {} : { content: { [type]: schema === undefined ? {} : { schema } } }
  const takesBody = method === 'POST' || method === 'PATCH'
  return {
    tags: [tag],
    summary,
    operationId: operationId(route),
    ...(open === true ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters: parameters.map(parameterOf) }),
    // Required: without its content type a request is refused, and clients that are made from this send one with a body only.
    ...(takesBody
      ? {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: body ?? none } },
          },
        }
      : {}),
    responses: {
      [isEmpty ? '204' : '200']: { description, ...content },
      ...(otherStatus === undefined ? {} : { [otherStatus]: { description, ...content } }),
      default: {
        description: 'It failed.',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  }
}

function parameterOf({ name, in: place, schema, description }: Parameter): object {
  return { name, in: place, required: place === 'path', description, schema }
}

/** `POST /api/dead-letters/{id}/edit` is `postDeadLettersIdEdit`. */
function operationId({ method, path }: Route): string {
  const words = path.split(/[^A-Za-z]+/).filter((word) => word !== '' && word !== 'api')
  const capitalized = words.map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`)
  return [method.toLowerCase(), ...capitalized].join('')
}
