/** From a request's path, query and body to what a route asks for. Everything that a route does not name is refused. */

import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { fromTaggedJson } from '../../mutation/tagged-json.ts'
import { isRecord } from '../../control/wire.ts'
import { mismatch, type JsonSchema } from './json-schema.ts'
import { RequestError } from './request-error.ts'
import type { Parameter } from './route.ts'

/** Throws BAD_REQUEST. */
export function readParameters(
  parameters: readonly Parameter[],
  path: ReadonlyMap<string, string>,
  query: URLSearchParams,
): Readonly<Record<string, unknown>> {
  const known = new Map(parameters.map((parameter) => [parameter.name, parameter]))
  for (const name of query.keys()) {
    if (known.get(name)?.in !== 'query') {
      throw new RequestError('BAD_REQUEST', `There is no parameter ${name.slice(0, 100)} here.`)
    }
    if (query.getAll(name).length > 1) {
      throw new RequestError('BAD_REQUEST', `Give the parameter ${name} once.`)
    }
  }
  const read = new Map<string, unknown>()
  for (const { name, in: place, schema } of parameters) {
    const text = place === 'path' ? path.get(name) : (query.get(name) ?? undefined)
    if (text === undefined) continue
    const value = converted(schema, text)
    const wrong = mismatch(schema, value, name)
    if (wrong !== undefined) throw new RequestError('BAD_REQUEST', `${wrong}.`)
    read.set(name, value)
  }
  // `fromEntries` defines members: one named `__proto__` would be a member like any other.
  return Object.fromEntries(read)
}

function converted(schema: JsonSchema, text: string): unknown {
  if (!('type' in schema)) return text
  if (schema.type === 'integer' || schema.type === 'number') {
    return /^-?\d{1,16}(\.\d+)?$/.test(text) ? Number(text) : text
  }
  if (schema.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

/** The body as an object; an empty one where there is none. Throws what is wrong with it. */
export async function readBody(
  request: IncomingMessage,
  schema: JsonSchema | undefined,
  maxBytes: number,
): Promise<Readonly<Record<string, unknown>>> {
  if (request.method !== 'DELETE') {
    const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
    if (type !== 'application/json') {
      throw new RequestError('UNSUPPORTED_MEDIA_TYPE', 'The Content-Type must be application/json.')
    }
  }
  const text = await bodyOf(request, maxBytes)
  const value = text.trim() === '' ? {} : parsed(text)
  if (!isRecord(value)) throw new RequestError('BAD_REQUEST', 'The body must be a JSON object.')
  const none: JsonSchema = { type: 'object', additionalProperties: false }
  const wrong = mismatch(schema ?? none, value, 'body')
  if (wrong !== undefined) throw new RequestError('BAD_REQUEST', `${wrong}.`)
  return value
}

function parsed(text: string): unknown {
  try {
    return fromTaggedJson(text)
  } catch {
    throw new RequestError('BAD_REQUEST', 'The body is not JSON.')
  }
}

/** What is declared is not believed: bytes are counted as they come. */
async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<string> {
  const tooLarge = new RequestError('BODY_TOO_LARGE', `A body has at most ${maxBytes} bytes.`)
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > maxBytes) throw tooLarge
    parts.push(part)
  }
  const whole = Buffer.concat(parts)
  // Decoded all the same, what is not UTF-8 would be written as other characters than were meant.
  if (!isUtf8(whole)) throw new RequestError('BAD_REQUEST', 'The body is not UTF-8.')
  return whole.toString('utf8')
}
