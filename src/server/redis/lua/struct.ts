/** The library `struct`: bytes of C structures, as Roberto Ierusalimschy's struct 0.2 for machines of 64 bits. */

import { luaType, type HostFunction, type LuaMachine, type Thread } from './machine.ts'
import { TextBuilder } from './text-builder.ts'

const maxIntegerBytes = 32
const maxAlignment = 8

export function structFunctions(machine: LuaMachine): Record<string, HostFunction> {
  const { api } = machine
  return {
    pack(thread) {
      const format = new Format(machine, thread)
      const out = new TextBuilder(machine)
      // What is missing is nil.
      api.lua_pushnil(thread)
      for (let argument = 2; ;) {
        const item = format.next(out.text.length)
        if (item === undefined) break
        const { option, size, padding } = item
        out.add('\0'.repeat(padding))
        if (isInteger(option)) {
          out.add(integerBytes(api.luaL_checknumber(thread, argument++), size, format.isBig))
        } else if (option === 'x') out.add('\0')
        else if (option === 'f' || option === 'd') {
          out.add(realBytes(api.luaL_checknumber(thread, argument++), size, format.isBig))
        } else if (option === 's' || option === 'c') {
          const text = machine.checkString(thread, argument++)
          const length = option === 'c' && size > 0 ? size : text.length
          if (text.length < length) machine.raiseArgument(thread, argument, 'string too short')
          out.add(text.slice(0, length))
          if (option === 's') out.add('\0')
        }
      }
      machine.pushString(thread, out.text)
      return 1
    },
    unpack(thread) {
      const format = new Format(machine, thread)
      const data = machine.checkString(thread, 2)
      const start =
        api.lua_type(thread, 3) <= luaType.nil ? 1 : Math.trunc(api.luaL_checknumber(thread, 3))
      if (start < 1) machine.raiseArgument(thread, 3, 'offset must be 1 or greater')
      let at = start - 1
      let count = 0
      const need = (size: number): void => {
        if (at + size > data.length) machine.raiseArgument(thread, 2, 'data string too short')
      }
      for (;;) {
        const item = format.next(at)
        if (item === undefined) break
        const { option } = item
        let { size } = item
        at += item.padding
        need(size)
        machine.needStack(thread, 2)
        const bytes = data.slice(at, at + size)
        if (isInteger(option)) {
          const isSigned = option === option.toLowerCase()
          api.lua_pushnumber(thread, integerOf(bytes, isSigned, format.isBig))
          count++
        } else if (option === 'f' || option === 'd') {
          api.lua_pushnumber(thread, realOf(bytes, format.isBig))
          count++
        } else if (option === 'c') {
          if (size === 0) {
            if (count === 0 || api.lua_isnumber(thread, -1) === 0) {
              machine.raise(thread, "format 'c0' needs a previous size")
            }
            size = Math.max(0, Math.trunc(api.lua_tonumber(thread, -1)))
            machine.pop(thread)
            count--
            need(size)
          }
          machine.pushString(thread, data.slice(at, at + size))
          count++
        } else if (option === 's') {
          const end = data.indexOf('\0', at)
          if (end < 0) machine.raise(thread, 'unfinished string in data')
          machine.pushString(thread, data.slice(at, end))
          size = end - at + 1
          count++
        }
        at += size
      }
      machine.needStack(thread, 1)
      api.lua_pushnumber(thread, at + 1)
      return count + 1
    },
    size(thread) {
      const format = new Format(machine, thread, /[0-9A-Za-z]/)
      let at = 0
      for (;;) {
        const item = format.next(at)
        if (item === undefined) break
        const { option, size, padding } = item
        if (option === 's') machine.raiseArgument(thread, 1, "option 's' has no fixed size")
        if (option === 'c' && size === 0) {
          machine.raiseArgument(thread, 1, "option 'c0' has no fixed size")
        }
        at += padding + size
      }
      api.lua_pushnumber(thread, at)
      return 1
    },
  }
}

interface Item {
  readonly option: string
  readonly size: number
  /** Bytes before it, for its alignment. */
  readonly padding: number
}

/** Reads a format: options of values one after the other; those that say how come into force. */
class Format {
  isBig = false
  readonly #machine: LuaMachine
  readonly #thread: Thread
  readonly #text: string
  #at = 0
  #alignment = 1
  readonly #ignored: RegExp | undefined

  /** `ignored` are options that are none and do not matter. */
  constructor(machine: LuaMachine, thread: Thread, ignored?: RegExp) {
    this.#ignored = ignored
    this.#machine = machine
    this.#thread = thread
    // C's strings end at a NUL.
    this.#text = machine.checkString(thread, 1).split('\0', 1)[0] ?? ''
  }

  /** `length` is how long the data is up to here. */
  next(length: number): Item | undefined {
    while (this.#at < this.#text.length) {
      this.#machine.worked(this.#at, 0)
      const option = this.#text[this.#at++] ?? ''
      const size = this.#sizeOf(option)
      if (size === undefined) {
        this.#control(option)
        continue
      }
      const aligned = Math.min(size, this.#alignment)
      const padding =
        size === 0 || option === 'c' ? 0 : (aligned - (length & (aligned - 1))) & (aligned - 1)
      return { option, size, padding }
    }
    return undefined
  }

  #sizeOf(option: string): number | undefined {
    switch (option) {
      case 'B':
      case 'b':
      case 'x':
        return 1
      case 'H':
      case 'h':
        return 2
      case 'L':
      case 'l':
      case 'T':
      case 'd':
        return 8
      case 'f':
        return 4
      case 's':
        return 0
      case 'c':
        return this.#number(1)
      case 'i':
      case 'I': {
        const size = this.#number(4)
        if (size > maxIntegerBytes) {
          this.#machine.raise(
            this.#thread,
            `integral size ${size} is larger than limit of ${maxIntegerBytes}`,
          )
        }
        return size
      }
      default:
        return undefined
    }
  }

  #control(option: string): void {
    if (option === '>') this.isBig = true
    else if (option === '<') this.isBig = false
    else if (option === '!') {
      const alignment = this.#number(maxAlignment)
      if (alignment === 0 || (alignment & (alignment - 1)) !== 0) {
        this.#machine.raise(this.#thread, `alignment ${alignment} is not a power of 2`)
      }
      this.#alignment = alignment
    } else if (option !== ' ' && this.#ignored?.test(option) !== true) {
      this.#machine.raiseArgument(this.#thread, 1, `invalid format option '${option}'`)
    }
  }

  #number(otherwise: number): number {
    const digits = /^[0-9]+/.exec(this.#text.slice(this.#at, this.#at + 12))?.[0]
    if (digits === undefined) return otherwise
    this.#at += digits.length
    const value = Number(digits)
    if (value > 2 ** 31 - 1) this.#machine.raise(this.#thread, 'integral size overflow')
    return value
  }
}

function isInteger(option: string): boolean {
  return 'bBhHlLTiI'.includes(option)
}

const unsignedLimit = 2n ** 64n
/** What a conversion that has no result gives on x86-64. */
const noInteger = 1n << 63n

function integerBytes(value: number, size: number, isBig: boolean): string {
  const isWithin = value > -(2 ** 63) - 1 && value < 2 ** 64
  let left = isWithin ? BigInt.asUintN(64, BigInt(Math.trunc(value))) : noInteger
  const bytes: number[] = []
  for (let at = 0; at < size; at++) {
    bytes.push(Number(left & 0xffn))
    left >>= 8n
  }
  return String.fromCharCode(...(isBig ? bytes.reverse() : bytes))
}

/** The lowest eight bytes count. */
function integerOf(bytes: string, isSigned: boolean, isBig: boolean): number {
  const lowest = isBig ? [...bytes].slice(-8) : [...bytes].slice(0, 8).reverse()
  let value = 0n
  for (const byte of lowest) value = (value << 8n) | BigInt(byte.charCodeAt(0))
  const bits = Math.min(64, 8 * bytes.length)
  return Number(isSigned && bits > 0 ? BigInt.asIntN(bits, value) : value % unsignedLimit)
}

function realBytes(value: number, size: number, isBig: boolean): string {
  const bytes = Buffer.alloc(size)
  if (size === 4) bytes.writeFloatBE(value)
  else bytes.writeDoubleBE(value)
  return (isBig ? bytes : bytes.reverse()).toString('latin1')
}

function realOf(text: string, isBig: boolean): number {
  const bytes = Buffer.from(text, 'latin1')
  if (!isBig) bytes.reverse()
  return text.length === 4 ? bytes.readFloatBE() : bytes.readDoubleBE()
}
