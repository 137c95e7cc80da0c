/**
 * The part of JSON Schema that the API's description uses, and its check: the description that is served is also what
 * requests are held against.
 */

export type JsonSchema =
  | { readonly type: 'string'; readonly enum?: readonly string[]; readonly description?: string }
  | {
      readonly type: 'integer' | 'number'
      readonly minimum?: number
      readonly maximum?: number
      readonly description?: string
    }
  | { readonly type: 'boolean' | 'null'; readonly description?: string }
  | {
      readonly type: 'array'
      readonly items: JsonSchema
      readonly maxItems?: number
      readonly description?: string
    }
  | {
      readonly type: 'object'
      readonly properties?: Readonly<Record<string, JsonSchema>>
      readonly required?: readonly string[]
      /** Default true. */
      readonly additionalProperties?: boolean
      readonly description?: string
    }
  | { readonly anyOf: readonly JsonSchema[]; readonly description?: string }
  /** Anything. */
  | { readonly description?: string }

/** What is wrong with the value, for people; undefined where it fits. `path` is where it stands. */
export function mismatch(schema: JsonSchema, value: unknown, path: string): string | undefined {
  if ('anyOf' in schema) {
    const found = schema.anyOf.map((choice) => mismatch(choice, value, path))
    return found.includes(undefined) ? undefined : found[0]
  }
  if (!('type' in schema)) return undefined
  switch (schema.type) {
    case 'string':
      if (typeof value !== 'string') return `${path} must be a string`
      if (schema.enum === undefined || schema.enum.includes(value)) return undefined
      return `${path} must be one of ${schema.enum.join(', ')}`
    case 'integer':
    case 'number':
      return numberMismatch(schema, value, path)
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `${path} must be true or false`
    case 'null':
      return value === null ? undefined : `${path} must be null`
    case 'array':
      return arrayMismatch(schema, value, path)
    case 'object':
      return objectMismatch(schema, value, path)
  }
}

type Typed<Name> = Extract<JsonSchema, { readonly type: Name }>

function numberMismatch(
  { type, minimum = -Infinity, maximum = Infinity }: Typed<'integer' | 'number'>,
  value: unknown,
  path: string,
): string | undefined {
  const isOne = type === 'integer' ? Number.isSafeInteger(value) : Number.isFinite(value)
  if (isOne && (value as number) >= minimum && (value as number) <= maximum) return undefined
  const what = type === 'integer' ? 'a whole number' : 'a number'
  if (minimum === -Infinity && maximum === Infinity) return `${path} must be ${what}`
  const bounds = maximum === Infinity ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`
  return `${path} must be ${what} ${bounds}`
}

function arrayMismatch(
  { items, maxItems = Infinity }: Typed<'array'>,
  value: unknown,
  path: string,
): string | undefined {
  if (!Array.isArray(value)) return `${path} must be an array`
  if (value.length > maxItems) return `${path} must have at most ${maxItems} items`
  for (const [at, item] of value.entries()) {
    const wrong = mismatch(items, item, `${path}[${at}]`)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

function objectMismatch(
  { properties = {}, required = [], additionalProperties = true }: Typed<'object'>,
  value: unknown,
  path: string,
): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `${path} must be an object`
  }
  const missing = required.find((name) => !Object.hasOwn(value, name))
  if (missing !== undefined) return `${path}.${missing} is missing`
  for (const [name, member] of Object.entries(value)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (schema === undefined) {
      if (additionalProperties) continue
      return `${path} has no member ${name.slice(0, 100)}`
    }
    const wrong = member === undefined ? undefined : mismatch(schema, member, `${path}.${name}`)
    if (wrong !== undefined) return wrong
  }
  return undefined
}
