/** The library `cjson`: Lua values as JSON and back, as Lua CJSON 2.1 does it, with its error texts. */

import { luaType, type HostFunction, type LuaMachine, type Thread } from './machine.ts'
import { numberText } from './number-text.ts'
import { TextBuilder } from './text-builder.ts'

/** Of encoding and decoding. */
const maxDepth = 1000
const maxInteger = 2 ** 31 - 1
/** An array may have at most twice as many places as items, from so many places on. */
const sparseRatio = 2
const safePlaces = 10

interface Settings {
  sparseRatio: number
  sparseSafe: number
  sparseConverts: boolean
  encodeDepth: number
  decodeDepth: number
  precision: number
  encodesInvalid: 'off' | 'on' | 'null'
  decodesInvalid: boolean
}

const initial: Settings = {
  sparseRatio,
  sparseSafe: safePlaces,
  sparseConverts: false,
  encodeDepth: maxDepth,
  decodeDepth: maxDepth,
  precision: 14,
  encodesInvalid: 'off',
  decodesInvalid: true,
}

export interface Json {
  readonly functions: Record<string, HostFunction>
  /** What one script has set is not the next one's business. */
  readonly reset: () => void
}

export function jsonLibrary(machine: LuaMachine): Json {
  const { api } = machine
  const settings = { ...initial }
  let isChanged = false
  const one = (thread: Thread): void => {
    if (api.lua_gettop(thread) !== 1) machine.raiseArgument(thread, 1, 'expected 1 argument')
  }
  const number =
    (name: 'encodeDepth' | 'decodeDepth' | 'precision', max: number): HostFunction =>
    (thread) => {
      setInteger(machine, thread, 1, settings, name, 1, max)
      settings[name] = Math.min(settings[name], maxDepth)
      api.lua_pushnumber(thread, settings[name])
      return 1
    }
  const isSet = (thread: Thread, index: number): boolean =>
    api.lua_type(thread, index) > luaType.nil
  const setting =
    (change: HostFunction): HostFunction =>
    (thread) => {
      isChanged = true
      return change(thread)
    }
  const functions: Record<string, HostFunction> = {
    encode(thread) {
      one(thread)
      const out = new TextBuilder(machine)
      new Encoder(machine, thread, settings, out).value(0)
      machine.pushString(thread, out.text)
      return 1
    },
    decode(thread) {
      one(thread)
      const text = machine.checkString(thread, 1)
      if (text.length >= 2 && (text[0] === '\0' || text[1] === '\0')) {
        machine.raise(thread, 'JSON parser does not support UTF-16 or UTF-32')
      }
      new Decoder(machine, thread, settings, text).whole()
      return 1
    },
    encode_sparse_array: setting((thread) => {
      if (isSet(thread, 1)) settings.sparseConverts = api.lua_toboolean(thread, 1) !== 0
      setInteger(machine, thread, 2, settings, 'sparseRatio', 0, maxInteger)
      setInteger(machine, thread, 3, settings, 'sparseSafe', 0, maxInteger)
      api.lua_pushboolean(thread, settings.sparseConverts ? 1 : 0)
      api.lua_pushnumber(thread, settings.sparseRatio)
      api.lua_pushnumber(thread, settings.sparseSafe)
      return 3
    }),
    encode_max_depth: setting(number('encodeDepth', maxInteger)),
    decode_max_depth: setting(number('decodeDepth', maxInteger)),
    encode_number_precision: setting(number('precision', 14)),
    encode_keep_buffer(thread) {
      api.lua_pushboolean(thread, 1)
      return 1
    },
    encode_invalid_numbers: setting((thread) => {
      if (isSet(thread, 1)) {
        const isNull = machine.stringAt(thread, 1) === 'null'
        const isOn = api.lua_toboolean(thread, 1) !== 0 && machine.stringAt(thread, 1) !== 'off'
        settings.encodesInvalid = isNull ? 'null' : isOn ? 'on' : 'off'
      }
      if (settings.encodesInvalid === 'null') machine.pushString(thread, 'null')
      else api.lua_pushboolean(thread, settings.encodesInvalid === 'on' ? 1 : 0)
      return 1
    }),
    decode_invalid_numbers: setting((thread) => {
      if (isSet(thread, 1)) {
        settings.decodesInvalid =
          api.lua_toboolean(thread, 1) !== 0 && machine.stringAt(thread, 1) !== 'off'
      }
      api.lua_pushboolean(thread, settings.decodesInvalid ? 1 : 0)
      return 1
    }),
  }
  const reset = (): void => {
    if (!isChanged) return
    Object.assign(settings, initial)
    isChanged = false
  }
  return { functions, reset }
}

function setInteger(
  machine: LuaMachine,
  thread: Thread,
  argument: number,
  settings: Settings,
  name: 'encodeDepth' | 'decodeDepth' | 'precision' | 'sparseRatio' | 'sparseSafe',
  min: number,
  max: number,
): void {
  if (machine.api.lua_type(thread, argument) <= luaType.nil) return
  const value = Math.trunc(machine.api.luaL_checknumber(thread, argument))
  if (value < min || value > max) {
    machine.raiseArgument(thread, 1, `expected integer between ${min} and ${max}`)
  }
  settings[name] = value
}

class Encoder {
  readonly #machine: LuaMachine
  readonly #thread: Thread
  readonly #settings: Settings
  readonly #out: TextBuilder

  constructor(machine: LuaMachine, thread: Thread, settings: Settings, out: TextBuilder) {
    this.#machine = machine
    this.#thread = thread
    this.#settings = settings
    this.#out = out
  }

  /** What is on top of the stack. */
  value(depth: number): void {
    const { api } = this.#machine
    const thread = this.#thread
    switch (api.lua_type(thread, -1)) {
      case luaType.string:
        this.#string(this.#machine.stringAt(thread, -1) ?? '')
        break
      case luaType.number:
        this.#number(-1)
        break
      case luaType.boolean:
        this.#out.add(api.lua_toboolean(thread, -1) === 0 ? 'false' : 'true')
        break
      case luaType.table:
        this.#table(depth + 1)
        break
      case luaType.nil:
        this.#out.add('null')
        break
      default:
        if (this.#isNull()) this.#out.add('null')
        else this.#fail(-1, 'type not supported')
    }
  }

  #isNull(): boolean {
    const { api } = this.#machine
    return (
      api.lua_type(this.#thread, -1) === luaType.lightUserdata &&
      api.lua_touserdata(this.#thread, -1) === 0
    )
  }

  #table(depth: number): void {
    if (depth > this.#settings.encodeDepth) {
      this.#machine.raise(this.#thread, `Cannot serialise, excessive nesting (${depth})`)
    }
    this.#machine.needStack(this.#thread, 4)
    const places = this.#places()
    if (places > 0) this.#array(places, depth)
    else this.#object(depth)
  }

  /** How many places an array has; -1 where it is none. */
  #places(): number {
    const { api } = this.#machine
    const thread = this.#thread
    let most = 0
    let items = 0
    api.lua_pushnil(thread)
    while (api.lua_next(thread, -2) !== 0) {
      const key = api.lua_type(thread, -2) === luaType.number ? api.lua_tonumber(thread, -2) : 0
      if (Math.floor(key) !== key || key < 1) {
        this.#machine.pop(thread, 2)
        return -1
      }
      most = Math.max(most, key)
      items++
      this.#machine.pop(thread)
    }
    const { sparseRatio, sparseSafe, sparseConverts } = this.#settings
    if (sparseRatio > 0 && most > items * sparseRatio && most > sparseSafe) {
      if (!sparseConverts) this.#fail(-1, 'excessively sparse array')
      return -1
    }
    return most
  }

  #array(places: number, depth: number): void {
    const { api } = this.#machine
    this.#out.add('[')
    for (let item = 1; item <= places; item++) {
      if (item > 1) this.#out.add(',')
      api.lua_rawgeti(this.#thread, -1, item)
      this.value(depth)
      this.#machine.pop(this.#thread)
    }
    this.#out.add(']')
  }

  #object(depth: number): void {
    const { api } = this.#machine
    const thread = this.#thread
    this.#out.add('{')
    let isFirst = true
    api.lua_pushnil(thread)
    while (api.lua_next(thread, -2) !== 0) {
      if (!isFirst) this.#out.add(',')
      isFirst = false
      const type = api.lua_type(thread, -2)
      if (type === luaType.number) {
        this.#out.add('"')
        this.#number(-2)
        this.#out.add('":')
      } else if (type === luaType.string) {
        this.#string(this.#machine.stringAt(thread, -2) ?? '')
        this.#out.add(':')
      } else this.#fail(-2, 'table key must be a number or string')
      this.value(depth)
      this.#machine.pop(thread)
    }
    this.#out.add('}')
  }

  #string(text: string): void {
    this.#out.add(`"${text.replace(toEscape, escaped)}"`)
  }

  #number(index: number): void {
    const value = this.#machine.api.lua_tonumber(this.#thread, index)
    if (!Number.isFinite(value)) {
      const { encodesInvalid } = this.#settings
      if (encodesInvalid === 'off') this.#fail(index, 'must not be NaN or Inf')
      if (encodesInvalid === 'null') {
        this.#out.add('null')
        return
      }
    }
    this.#out.add(numberText(value, this.#settings.precision))
  }

  #fail(index: number, reason: string): never {
    const type = this.#machine.typeName(this.#thread, index)
    return this.#machine.raise(this.#thread, `Cannot serialise ${type}: ${reason}`)
  }
}

// eslint-disable-next-line no-control-regex -- control characters are what is escaped
const toEscape = /[\u0000-\u001f"\\/\u007f]/g
const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
}

function escaped(character: string): string {
  return escapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

type Token =
  '{' | '}' | '[' | ']' | ',' | ':' | 'string' | 'number' | 'boolean' | 'null' | 'end' | 'error'

const tokenNames: Readonly<Record<Token, string>> = {
  '{': 'T_OBJ_BEGIN',
  '}': 'T_OBJ_END',
  '[': 'T_ARR_BEGIN',
  ']': 'T_ARR_END',
  ',': 'T_COMMA',
  ':': 'T_COLON',
  string: 'T_STRING',
  number: 'T_NUMBER',
  boolean: 'T_BOOLEAN',
  null: 'T_NULL',
  end: 'T_END',
  error: 'T_ERROR',
}
const unescapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}
const space = /[ \t\n\r]*/y
const plainCharacters = /[^"\\\u0000]*/y // eslint-disable-line no-control-regex -- NUL ends it
const decimal = /[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?/y
const otherNumber = /[-+]?(?:0[xX](?:[0-9a-fA-F]+)|inf(?:inity)?|nan)/iy
const invalidNumber = /^\+|^-?(?:0[xX0-9]|inf|nan)/i

class Decoder {
  readonly #machine: LuaMachine
  readonly #thread: Thread
  readonly #settings: Settings
  readonly #text: string
  #at = 0
  #depth = 0
  #values = 0
  #string = ''
  #number = 0
  /** Of the last token. */
  #start = 0

  constructor(machine: LuaMachine, thread: Thread, settings: Settings, text: string) {
    this.#machine = machine
    this.#thread = thread
    this.#settings = settings
    this.#text = text
  }

  whole(): void {
    this.#value(this.#next())
    const token = this.#next()
    if (token !== 'end') this.#fail('the end', token)
  }

  #value(token: Token): void {
    const { api } = this.#machine
    this.#machine.worked(++this.#values, 0)
    switch (token) {
      case 'string':
        this.#machine.pushString(this.#thread, this.#string)
        break
      case 'number':
        api.lua_pushnumber(this.#thread, this.#number)
        break
      case 'boolean':
        api.lua_pushboolean(this.#thread, this.#number)
        break
      case 'null':
        // In a table, nil would be nothing.
        api.lua_pushlightuserdata(this.#thread, 0)
        break
      case '{':
        this.#object()
        break
      case '[':
        this.#array()
        break
      case '}':
      case ']':
      case ',':
      case ':':
      case 'end':
      case 'error':
        this.#fail('value', token)
    }
  }

  #descend(): void {
    this.#depth++
    if (this.#depth > this.#settings.decodeDepth) {
      this.#machine.raise(
        this.#thread,
        `Found too many nested data structures (${this.#depth}) at character ${this.#at}`,
      )
    }
    this.#machine.needStack(this.#thread, 4)
    this.#machine.api.lua_createtable(this.#thread, 0, 0)
  }

  #object(): void {
    this.#descend()
    let token = this.#next()
    while (token !== '}') {
      if (token !== 'string') this.#fail('object key string', token)
      this.#machine.pushString(this.#thread, this.#string)
      token = this.#next()
      if (token !== ':') this.#fail('colon', token)
      this.#value(this.#next())
      this.#machine.api.lua_rawset(this.#thread, -3)
      token = this.#next()
      if (token === '}') break
      if (token !== ',') this.#fail('comma or object end', token)
      token = this.#next()
      // A comma is followed by a name.
      if (token === '}') this.#fail('object key string', token)
    }
    this.#depth--
  }

  #array(): void {
    this.#descend()
    let token = this.#next()
    for (let item = 1; token !== ']'; item++) {
      this.#value(token)
      this.#machine.api.lua_rawseti(this.#thread, -2, item)
      token = this.#next()
      if (token === ']') break
      if (token !== ',') this.#fail('comma or array end', token)
      token = this.#next()
      if (token === ']') this.#fail('value', token)
    }
    this.#depth--
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #next(): Token {
    this.#match(space)
    this.#start = this.#at
    const first = this.#text[this.#at]
    switch (first) {
      // C's strings end at a NUL.
      case undefined:
      case '\0':
        return 'end'
      case '{':
      case '}':
      case '[':
      case ']':
      case ',':
      case ':':
        this.#at++
        return first
      case '"':
        return this.#nextString()
      case 't':
        return this.#word('true', 'boolean', 1)
      case 'f':
        return this.#word('false', 'boolean', 0)
      case 'n':
        if (this.#text.startsWith('null', this.#at)) return this.#word('null', 'null', 0)
        break
    }
    if (first === '-' || (first >= '0' && first <= '9')) return this.#nextNumber()
    const isInvalid = invalidNumber.test(this.#text.slice(this.#at, this.#at + 4))
    if (/[+iInN]/.test(first) && isInvalid && this.#settings.decodesInvalid) {
      return this.#nextNumber()
    }
    return this.#error('invalid token')
  }

  #word(word: string, token: Token, value: number): Token {
    if (!this.#text.startsWith(word, this.#at)) return this.#error('invalid token')
    this.#at += word.length
    this.#number = value
    return token
  }

  #nextNumber(): Token {
    const { decodesInvalid } = this.#settings
    if (!decodesInvalid && invalidNumber.test(this.#text.slice(this.#at, this.#at + 4))) {
      return this.#error('invalid number')
    }
    const other = this.#match(otherNumber)
    const text = other ?? this.#match(decimal)
    if (text === undefined) return this.#error('invalid number')
    this.#number = other === undefined ? Number(text) : otherNumberOf(other.toLowerCase())
    return 'number'
  }

  #nextString(): Token {
    this.#at++
    let text = this.#match(plainCharacters) ?? ''
    for (;;) {
      const character = this.#text[this.#at]
      if (character === '"') break
      if (character !== '\\') return this.#error('unexpected end of string')
      const escape = this.#text[this.#at + 1] ?? ''
      if (escape === 'u') {
        const point = this.#codePoint()
        if (point === undefined) return this.#error('invalid unicode escape code')
        text += point
      } else {
        const meant = unescapes[escape]
        if (meant === undefined) return this.#error('invalid escape code')
        text += meant
        this.#at += 2
      }
      text += this.#match(plainCharacters) ?? ''
    }
    this.#at++
    this.#string = text
    return 'string'
  }

  /** The bytes in UTF-8 of `\\u20ac`, or of two such that are one character. */
  #codePoint(): string | undefined {
    const first = this.#unit(this.#at)
    if (first === undefined) return undefined
    let point = first
    let length = 6
    if (first >= 0xd800 && first <= 0xdfff) {
      const second = this.#unit(this.#at + 6)
      if (first >= 0xdc00 || second === undefined || second < 0xdc00 || second > 0xdfff) {
        return undefined
      }
      point = ((first & 0x3ff) << 10) + (second & 0x3ff) + 0x10000
      length = 12
    }
    this.#at += length
    return Buffer.from(String.fromCodePoint(point)).toString('latin1')
  }

  #unit(at: number): number | undefined {
    const digits = /^\\u([0-9a-fA-F]{4})/.exec(this.#text.slice(at, at + 6))?.[1]
    return digits === undefined ? undefined : Number.parseInt(digits, 16)
  }

  #error(what: string): Token {
    this.#string = what
    this.#start = this.#at
    return 'error'
  }

  #fail(expected: string, token: Token): never {
    const found = token === 'error' ? this.#string : tokenNames[token]
    return this.#machine.raise(
      this.#thread,
      `Expected ${expected} but found ${found} at character ${this.#start + 1}`,
    )
  }
}

function otherNumberOf(text: string): number {
  const digits = text.replace(/^[-+]/, '')
  const value = digits.startsWith('0x')
    ? Number(digits)
    : digits.startsWith('inf')
      ? Infinity
      : Number.NaN
  return text.startsWith('-') ? -value : value
}
