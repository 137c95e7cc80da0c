/**
 * Options by table: one row per option, with its type, default, bounds and what it does.
 *
 * What is read is a frozen copy with every default filled in. Unknown names, wrong types and values out of bounds are
 * refused with INVALID_OPTION, before anything else happens; the caller's object is never changed.
 */

import { DaybookError } from './errors.ts'
import { nearestName } from './nearest.ts'

export { nearestName as nearest }

interface Described {
  /** One sentence: what it does, and what raising it costs. */
  readonly doc: string
}

/** A row has a default (undefined: the option may be left out) or is required. */
type Presence<T> = { readonly default: T | undefined } | { readonly required: true }

export type OptionRow = Described &
  (
    | ({
        readonly type: 'number'
        readonly min: number
        readonly max: number
        /** Default true. */
        readonly integer?: boolean
        /** ms, bytes, rows …; for messages and docs. */
        readonly unit?: string
      } & Presence<number>)
    | ({ readonly type: 'boolean' } & Presence<boolean>)
    /** Not empty, at most 4,096 characters. */
    | ({ readonly type: 'string' } & Presence<string>)
    /** One string or an array of at least one; always read as an array. At most 1,600, the columns a table may have. */
    | ({ readonly type: 'strings' } & Presence<readonly string[]>)
    /** One of these strings. */
    | ({ readonly type: readonly string[] } & Presence<string>)
    /** Passed on as it is. */
    | ({ readonly type: 'function' } & Presence<never>)
    /** Passed on as it is; a group of options is then read with a table of its own. */
    | ({ readonly type: 'object' } & Presence<never>)
  )

export type OptionTable = Readonly<Record<string, OptionRow>>

type Plain<Row, Name, Given> = Row extends { readonly type: 'number' }
  ? number
  : Row extends { readonly type: 'boolean' }
    ? boolean
    : Row extends { readonly type: 'string' }
      ? string
      : Row extends { readonly type: 'strings' }
        ? readonly string[]
        : Row extends { readonly type: readonly (infer Choice)[] }
          ? Choice
          : Name extends keyof Given
            ? Exclude<Given[Name], undefined>
            : object

type Filled<Row, Name, Given> = Row extends { readonly default: undefined }
  ? Plain<Row, Name, Given> | undefined
  : Plain<Row, Name, Given>

/** Options after reading. Functions and objects have the type that the caller's own option type gives them. */
export type Options<Table extends OptionTable, Given = unknown> = {
  readonly [Name in keyof Table]: Filled<Table[Name], Name, Given>
}

/**
 * Reads `given` by the table. `path` is where it stands in the caller's options, such as `flush` or `` for the top: it
 * begins the names in messages and `details.path`. An option that is undefined counts as left out.
 */
export function readOptions<const Table extends OptionTable, Given extends object = object>(
  path: string,
  given: Given | undefined,
  table: Table,
): Options<Table, Given> {
  const values = given === undefined ? new Map<string, unknown>() : membersOf(given)
  if (values === undefined) throw invalidOption(path === '' ? 'options' : path, 'an object', given)
  for (const name of values.keys()) {
    if (!Object.hasOwn(table, name))
      throw unknownOption(joined(path, name), name, Object.keys(table))
  }
  const read = Object.entries(table).map(([name, row]): [string, unknown] => [
    name,
    readOne(joined(path, name), values.get(name), row),
  ])
  return Object.freeze(Object.fromEntries(read)) as Options<Table, Given>
}

/** undefined where it is no object, or one that does not let itself be read. */
function membersOf(given: object): Map<string, unknown> | undefined {
  return looked(() =>
    typeof given !== 'object' || given === null || Array.isArray(given)
      ? undefined
      : new Map<string, unknown>(Object.entries(given)),
  )
}

/** Looks at what a caller gave: a getter or a proxy in it may throw anything. */
export function looked<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

function joined(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function readOne(path: string, value: unknown, row: OptionRow): unknown {
  if (value === undefined) {
    if ('required' in row) throw invalidOption(path, expectedOf(row), value)
    return row.default
  }
  const texts = row.type === 'strings' ? textsOf(value) : undefined
  if (texts !== undefined) return Object.freeze(texts)
  if (!accepts(row, value)) {
    const near =
      typeof row.type !== 'string' && typeof value === 'string'
        ? nearestName(value, row.type)
        : undefined
    throw invalidOption(path, expectedOf(row), value, near)
  }
  return value
}

const maxTextLength = 4096
const maxStrings = 1600

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= maxTextLength
}

/** A copy, each of whose elements was read once: what is checked is what is returned. */
function textsOf(value: unknown): string[] | undefined {
  if (isText(value)) return [value]
  return looked(() => {
    if (!Array.isArray(value) || value.length === 0 || value.length > maxStrings) return undefined
    const texts = Array.from({ length: value.length }, (_, index): unknown => value[index])
    return texts.every(isText) ? texts : undefined
  })
}

function accepts(row: OptionRow, value: unknown): boolean {
  switch (row.type) {
    case 'number':
      return (
        typeof value === 'number' &&
        value >= row.min &&
        value <= row.max &&
        (row.integer === false ? Number.isFinite(value) : Number.isSafeInteger(value))
      )
    case 'boolean':
      return typeof value === 'boolean'
    case 'string':
      return isText(value)
    case 'strings':
      // `textsOf` has not taken it.
      return false
    case 'function':
      return typeof value === 'function'
    case 'object':
      return (typeof value === 'object' && value !== null) || typeof value === 'function'
    default:
      return typeof value === 'string' && row.type.includes(value)
  }
}

function expectedOf(row: OptionRow): string {
  switch (row.type) {
    case 'number': {
      const kind = row.integer === false ? 'a number' : 'an integer'
      const unit = row.unit === undefined ? '' : ` (${row.unit})`
      return `${kind} from ${row.min} to ${row.max}${unit}`
    }
    case 'boolean':
      return 'true or false'
    case 'string':
      return 'a string that is not empty'
    case 'strings':
      return 'a string or an array of strings, not empty'
    case 'function':
      return 'a function'
    case 'object':
      return 'an object'
    default:
      return row.type.map((choice) => `'${choice}'`).join(' or ')
  }
}

/** Strings are not shown: one in the wrong place may be a password. */
function shown(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (value === '') return 'an empty string'
  if (looked(() => Array.isArray(value)) === true) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** For rules that a table cannot say. `expected` completes "must be …". */
export function invalidOption(
  path: string,
  expected: string,
  value: unknown,
  near?: string,
): DaybookError {
  const message = `Option ${path} must be ${expected}; it is ${shown(value)}.`
  return new DaybookError('INVALID_OPTION', message, {
    details: { path, expected },
    ...(near === undefined ? {} : { hint: `Did you mean '${near}'?` }),
  })
}

function unknownOption(path: string, name: string, known: readonly string[]): DaybookError {
  const near = nearestName(name, known)
  return new DaybookError('INVALID_OPTION', `There is no option ${path.slice(0, 200)}.`, {
    details: { path, expected: `one of ${known.join(', ')}` },
    hint: near === undefined ? `Options here are ${known.join(', ')}.` : `Did you mean ${near}?`,
  })
}
