/** The library `cmsgpack`: Lua values as MessagePack and back, as lua-cmsgpack 0.4 does it. */

import { latin1Of } from '../latin1.ts'
import { luaType, type HostFunction, type LuaMachine, type Thread } from './machine.ts'
import { TextBuilder } from './text-builder.ts'

/** Tables beyond it are packed as nil: they may be in themselves. */
const maxNesting = 16
/** Of what is unpacked. */
const maxDepth = 1000
const tooMany =
  'stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)'

export function messagePackFunctions(machine: LuaMachine): Record<string, HostFunction> {
  const { api } = machine
  const integer = (thread: Thread, index: number): number =>
    Math.trunc(api.luaL_checknumber(thread, index))
  const optional = (thread: Thread, index: number): number =>
    api.lua_type(thread, index) <= luaType.nil ? 0 : integer(thread, index)
  return {
    pack(thread) {
      const count = api.lua_gettop(thread)
      if (count === 0) machine.raiseArgument(thread, 0, 'MessagePack pack needs input.')
      const out = new TextBuilder(machine)
      for (let index = 1; index <= count; index++) {
        machine.needStack(thread, 1)
        api.lua_pushvalue(thread, index)
        new Packer(machine, thread, out).value(0)
      }
      machine.pushString(thread, out.text)
      return 1
    },
    unpack: (thread) => unpack(machine, thread, 0, 0),
    unpack_one(thread) {
      const offset = optional(thread, 2)
      api.lua_settop(thread, 1)
      return unpack(machine, thread, 1, offset)
    },
    unpack_limit(thread) {
      const limit = integer(thread, 2)
      const offset = optional(thread, 3)
      api.lua_settop(thread, 1)
      return unpack(machine, thread, limit, offset)
    },
  }
}

/** All values where limit and offset are 0; else so many of them, behind the offset that comes next. */
function unpack(machine: LuaMachine, thread: Thread, limit: number, offset: number): number {
  const text = machine.checkString(thread, 1)
  if (offset < 0 || limit < 0) {
    machine.raise(
      thread,
      `Invalid request to unpack with offset of ${offset} and limit of ${text.length}.`,
    )
  }
  if (offset > text.length) {
    machine.raise(thread, `Start offset ${offset} greater than input length ${text.length}.`)
  }
  const isAll = limit === 0 && offset === 0
  const unpacker = new Unpacker(machine, thread, text, offset)
  let count = 0
  for (; !unpacker.isAtEnd && (isAll || count < limit); count++) unpacker.value()
  if (isAll) return count
  machine.needStack(thread, 1)
  machine.api.lua_pushnumber(thread, unpacker.isAtEnd ? -1 : unpacker.at)
  machine.api.lua_insert(thread, 2)
  return count + 1
}

class Packer {
  readonly #machine: LuaMachine
  readonly #thread: Thread
  readonly #out: TextBuilder

  constructor(machine: LuaMachine, thread: Thread, out: TextBuilder) {
    this.#machine = machine
    this.#thread = thread
    this.#out = out
  }

  /** What is on top of the stack, and pops it. */
  value(level: number): void {
    const { api } = this.#machine
    const thread = this.#thread
    const type = api.lua_type(thread, -1)
    if (type === luaType.string) this.#string(this.#machine.stringAt(thread, -1) ?? '')
    else if (type === luaType.boolean) {
      this.#out.add(api.lua_toboolean(thread, -1) === 0 ? '\xc2' : '\xc3')
    } else if (type === luaType.number) this.#number(api.lua_tonumber(thread, -1))
    else if (type === luaType.table && level < maxNesting) this.#table(level)
    else this.#out.add('\xc0')
    this.#machine.pop(thread)
  }

  #string(text: string): void {
    const { length } = text
    if (length < 32) this.#out.add(bytes(0xa0 | length))
    else if (length <= 0xff) this.#out.add(bytes(0xd9, length))
    else if (length <= 0xffff) this.#out.add(`\xda${unsigned(length, 2)}`)
    else this.#out.add(`\xdb${unsigned(length, 4)}`)
    this.#out.add(text)
  }

  #number(value: number): void {
    // As far as a C long goes; the double of 2^63 is beyond it.
    if (Number.isInteger(value) && Math.abs(value) < 2 ** 63) this.#integer(value)
    else if (Math.fround(value) === value) this.#out.add(`\xca${floatBytes(value, 4)}`)
    else this.#out.add(`\xcb${floatBytes(value, 8)}`)
  }

  #integer(value: number): void {
    if (value >= 0) {
      if (value <= 127) this.#out.add(bytes(value))
      else if (value <= 0xff) this.#out.add(bytes(0xcc, value))
      else if (value <= 0xffff) this.#out.add(`\xcd${unsigned(value, 2)}`)
      else if (value <= 0xffff_ffff) this.#out.add(`\xce${unsigned(value, 4)}`)
      else this.#out.add(`\xcf${unsigned(value, 8)}`)
    } else if (value >= -32) this.#out.add(bytes(value & 0xff))
    else if (value >= -128) this.#out.add(bytes(0xd0, value & 0xff))
    else if (value >= -32_768) this.#out.add(`\xd1${unsigned(value, 2)}`)
    else if (value >= -2_147_483_648) this.#out.add(`\xd2${unsigned(value, 4)}`)
    else this.#out.add(`\xd3${unsigned(value, 8)}`)
  }

  #table(level: number): void {
    const { api } = this.#machine
    const thread = this.#thread
    this.#machine.needStack(thread, 4)
    const { count, isArray } = this.#shape()
    if (isArray) {
      this.#head(count, 0x90, '\xdc', '\xdd')
      for (let item = 1; item <= count; item++) {
        api.lua_rawgeti(thread, -1, item)
        this.value(level + 1)
      }
      return
    }
    this.#head(count, 0x80, '\xde', '\xdf')
    api.lua_pushnil(thread)
    while (api.lua_next(thread, -2) !== 0) {
      api.lua_pushvalue(thread, -2)
      this.value(level + 1)
      this.value(level + 1)
    }
  }

  /** An array has the keys from 1 to their number, and no other. */
  #shape(): { readonly count: number; readonly isArray: boolean } {
    const { api } = this.#machine
    const thread = this.#thread
    let count = 0
    let most = 0
    let isArray = true
    api.lua_pushnil(thread)
    while (api.lua_next(thread, -2) !== 0) {
      this.#machine.pop(thread)
      const key = api.lua_type(thread, -1) === luaType.number ? api.lua_tonumber(thread, -1) : 0
      isArray &&= Number.isInteger(key) && key > 0 && key < 2 ** 31
      most = Math.max(most, key)
      count++
    }
    return { count, isArray: isArray && most === count }
  }

  #head(count: number, short: number, medium: string, long: string): void {
    if (count <= 15) this.#out.add(bytes(short | count))
    else if (count <= 0xffff) this.#out.add(medium + unsigned(count, 2))
    else this.#out.add(long + unsigned(count, 4))
  }
}

class Unpacker {
  readonly #machine: LuaMachine
  readonly #thread: Thread
  readonly #text: string
  readonly #bytes: Buffer
  #values = 0
  #depth = 0
  at: number

  constructor(machine: LuaMachine, thread: Thread, text: string, at: number) {
    this.#machine = machine
    this.#thread = thread
    this.#text = text
    this.#bytes = Buffer.from(text, 'latin1')
    this.at = at
  }

  get isAtEnd(): boolean {
    return this.at >= this.#text.length
  }

  /** Pushes the next one. */
  value(): void {
    const { api } = this.#machine
    const thread = this.#thread
    this.#machine.worked(++this.#values, 0)
    if (this.#depth > maxDepth || api.lua_checkstack(thread, 4) === 0)
      this.#machine.raise(thread, tooMany)
    const head = this.#bytes[this.#take(1)] ?? 0
    if (head <= 0x7f) api.lua_pushnumber(thread, head)
    else if (head >= 0xe0) api.lua_pushnumber(thread, head - 0x100)
    else if (head <= 0x8f) this.#map(head & 0x0f)
    else if (head <= 0x9f) this.#array(head & 0x0f)
    else if (head <= 0xbf) this.#string(head & 0x1f)
    else this.#other(head)
  }

  #other(head: number): void {
    const { api } = this.#machine
    const thread = this.#thread
    switch (head) {
      case 0xc0:
        api.lua_pushnil(thread)
        break
      case 0xc2:
      case 0xc3:
        api.lua_pushboolean(thread, head & 1)
        break
      case 0xca:
        api.lua_pushnumber(thread, this.#bytes.readFloatBE(this.#take(4)))
        break
      case 0xcb:
        api.lua_pushnumber(thread, this.#bytes.readDoubleBE(this.#take(8)))
        break
      case 0xcc:
      case 0xcd:
      case 0xce:
        api.lua_pushnumber(thread, this.#unsigned(2 ** (head - 0xcc)))
        break
      case 0xcf:
        api.lua_pushnumber(thread, Number(this.#bytes.readBigUInt64BE(this.#take(8))))
        break
      case 0xd0:
      case 0xd1:
      case 0xd2: {
        const length = 2 ** (head - 0xd0)
        api.lua_pushnumber(thread, this.#bytes.readIntBE(this.#take(length), length))
        break
      }
      case 0xd3:
        api.lua_pushnumber(thread, Number(this.#bytes.readBigInt64BE(this.#take(8))))
        break
      case 0xd9:
      case 0xda:
      case 0xdb:
        this.#string(this.#unsigned(2 ** (head - 0xd9)))
        break
      case 0xdc:
      case 0xdd:
        this.#array(this.#unsigned(2 * (head - 0xdb)))
        break
      case 0xde:
      case 0xdf:
        this.#map(this.#unsigned(2 * (head - 0xdd)))
        break
      default:
        this.#machine.raise(thread, 'Bad data format in input.')
    }
  }

  #array(count: number): void {
    const { api } = this.#machine
    api.lua_createtable(this.#thread, 0, 0)
    this.#depth++
    for (let item = 1; item <= count; item++) {
      this.value()
      api.lua_rawseti(this.#thread, -2, item)
    }
    this.#depth--
  }

  #map(count: number): void {
    const { api } = this.#machine
    api.lua_createtable(this.#thread, 0, 0)
    this.#depth++
    for (let item = 0; item < count; item++) {
      this.value()
      this.value()
      // Raises where the key is nil or not a number.
      api.lua_rawset(this.#thread, -3)
    }
    this.#depth--
  }

  #string(length: number): void {
    const at = this.#take(length)
    this.#machine.pushString(this.#thread, this.#text.slice(at, at + length))
  }

  #unsigned(length: number): number {
    return this.#bytes.readUIntBE(this.#take(length), length)
  }

  #take(length: number): number {
    const { at } = this
    if (at + length > this.#text.length) {
      this.#machine.raise(this.#thread, 'Missing bytes in input.')
    }
    this.at += length
    return at
  }
}

function bytes(first: number, second?: number): string {
  return second === undefined ? String.fromCharCode(first) : String.fromCharCode(first, second)
}

const eight = Buffer.alloc(8)

/** The lowest bytes, the highest of them first; a negative number as its complement. */
function unsigned(value: number, length: 2 | 4 | 8): string {
  if (length === 2) return String.fromCharCode((value >> 8) & 0xff, value & 0xff)
  if (length === 4) eight.writeUInt32BE(value >>> 0)
  else eight.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)))
  return latin1Of(eight, 0, length)
}

function floatBytes(value: number, length: 4 | 8): string {
  if (length === 4) eight.writeFloatBE(value)
  else eight.writeDoubleBE(value)
  return latin1Of(eight, 0, length)
}
