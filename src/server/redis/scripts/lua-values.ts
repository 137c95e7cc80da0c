/**
 * Replies of commands as values of Lua, and the other way round, as Redis does it.
 *
 *     :1          1                      nil, false        nil
 *     $ text      'text'                 true              1
 *     $-1 *-1     false                  1.9               1
 *     *           {…}                    {…}               as far as the first nil
 *     +OK         {ok = 'OK'}            {ok = …}          +…
 *     -ERR …      {err = 'ERR …'}        {err = …}         -…
 *
 * After `redis.setresp(3)`: {map = …}, {set = …}, {double = …}, {big_number = …}, {verbatim_string = …}, true and false.
 */

import { luaType, type LuaMachine, type Thread } from '../lua/machine.ts'
import { numberText } from '../lua/number-text.ts'
import { RedisError } from '../redis-error.ts'
import { bulk, failure, integer, type Protocol } from '../reply.ts'

const slotsOfReply = 6
/** Tables in tables of a reply: one that is in itself ends there. */
const maxNesting = 1000

/** Pushes the reply that begins at `at`; returns where it ends. */
export function pushReply(machine: LuaMachine, thread: Thread, reply: string, at = 0): number {
  const { api } = machine
  const lineEnd = reply.indexOf('\r\n', at)
  const end = lineEnd + 2
  switch (reply[at] as string) {
    case ':':
      api.lua_pushnumber(thread, Number(reply.slice(at + 1, lineEnd)))
      return end
    case '$': {
      const length = Number(reply.slice(at + 1, lineEnd))
      if (length < 0) {
        api.lua_pushboolean(thread, 0)
        return end
      }
      machine.pushString(thread, reply.slice(end, end + length))
      return end + length + 2
    }
    case '+':
      api.lua_createtable(thread, 0, 1)
      machine.setStringField(thread, 'ok', reply.slice(at + 1, lineEnd))
      return end
    case '-':
      pushError(machine, thread, reply.slice(at + 1, lineEnd))
      return end
    case '*':
    case '>':
      return pushList(machine, thread, reply, end, Number(reply.slice(at + 1, lineEnd)))
    case '_':
      api.lua_pushnil(thread)
      return end
    case '#':
      api.lua_pushboolean(thread, reply[at + 1] === 't' ? 1 : 0)
      return end
    case ',':
      api.lua_createtable(thread, 0, 1)
      machine.setNumberField(thread, 'double', doubleOf(reply.slice(at + 1, lineEnd)))
      return end
    case '=': {
      const length = Number(reply.slice(at + 1, lineEnd))
      api.lua_createtable(thread, 0, 1)
      machine.pushString(thread, 'verbatim_string')
      api.lua_createtable(thread, 0, 2)
      machine.setStringField(thread, 'format', reply.slice(end, end + 3))
      machine.setStringField(thread, 'string', reply.slice(end + 4, end + length))
      api.lua_rawset(thread, -3)
      return end + length + 2
    }
    case '%':
    case '~': {
      const isMap = reply[at] === '%'
      const count = Number(reply.slice(at + 1, lineEnd))
      return pushKeyed(machine, thread, reply, end, count, isMap)
    }
    default:
      throw new Error('A reply of a command begins with one of the marks of the protocol.')
  }
}

/** As `redis.call` raises it, and `redis.pcall` returns it. The line begins with its code. */
export function pushError(machine: LuaMachine, thread: Thread, line: string): void {
  machine.api.lua_createtable(thread, 0, 2)
  machine.setStringField(thread, 'err', line)
}

function pushList(
  machine: LuaMachine,
  thread: Thread,
  reply: string,
  start: number,
  count: number,
): number {
  const { api } = machine
  if (count < 0) {
    api.lua_pushboolean(thread, 0)
    return start
  }
  machine.needStack(thread, slotsOfReply)
  api.lua_createtable(thread, count, 0)
  let at = start
  for (let item = 1; item <= count; item++) {
    at = pushReply(machine, thread, reply, at)
    api.lua_rawseti(thread, -2, item)
  }
  return at
}

function pushKeyed(
  machine: LuaMachine,
  thread: Thread,
  reply: string,
  start: number,
  count: number,
  isMap: boolean,
): number {
  const { api } = machine
  machine.needStack(thread, slotsOfReply)
  api.lua_createtable(thread, 0, 1)
  machine.pushString(thread, isMap ? 'map' : 'set')
  api.lua_createtable(thread, 0, count)
  let at = start
  for (let item = 0; item < count; item++) {
    at = pushReply(machine, thread, reply, at)
    if (isMap) at = pushReply(machine, thread, reply, at)
    else api.lua_pushboolean(thread, 1)
    api.lua_rawset(thread, -3)
  }
  api.lua_rawset(thread, -3)
  return at
}

function doubleOf(text: string): number {
  return text.endsWith('inf') ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text)
}

export interface ReplyOptions {
  /** Of the client. */
  readonly protocol: Protocol
  /** What the script has set. */
  readonly version: 2 | 3
  readonly maxBytes: number
}

/** What is on top of the stack as a reply. Nothing of the script runs for that: metatables do not count. */
export function replyOf(machine: LuaMachine, thread: Thread, options: ReplyOptions): string {
  const out = new ReplyWriter(machine, thread, options)
  out.value()
  return out.text
}

class ReplyWriter {
  text = ''
  readonly #machine: LuaMachine
  readonly #thread: Thread
  readonly #options: ReplyOptions
  #values = 0
  #nesting = 0

  constructor(machine: LuaMachine, thread: Thread, options: ReplyOptions) {
    this.#machine = machine
    this.#thread = thread
    this.#options = options
  }

  /** What is on top of the stack, and pops it. */
  value(): void {
    const { api } = this.#machine
    const thread = this.#thread
    const { protocol, version, maxBytes } = this.#options
    this.#machine.worked(++this.#values, 0)
    if (this.text.length > maxBytes) {
      throw new RedisError(`ERR the reply of the script has more than ${maxBytes} bytes`)
    }
    switch (api.lua_type(thread, -1)) {
      case luaType.string:
        this.text += bulk(this.#machine.stringAt(thread, -1) ?? '')
        break
      case luaType.number:
        this.text += integer(truncated(api.lua_tonumber(thread, -1)))
        break
      case luaType.boolean: {
        const isTrue = api.lua_toboolean(thread, -1) !== 0
        if (version === 3) this.text += protocol.boolean(isTrue)
        else this.text += isTrue ? integer(1) : protocol.nil
        break
      }
      case luaType.table:
        this.#nesting++
        if (this.#nesting > maxNesting || api.lua_checkstack(thread, slotsOfReply) === 0) {
          this.text += failure('ERR reached lua stack limit')
        } else if (!this.#marked()) this.#list()
        this.#nesting--
        break
      default:
        this.text += protocol.nil
    }
    this.#machine.pop(thread)
  }

  /** A table with one of the names that say what it is. Leaves the stack as it was. */
  #marked(): boolean {
    const text = this.#markedText()
    if (text === undefined) return this.#verbatim() || this.#keyed('map') || this.#keyed('set')
    this.text += text
    return true
  }

  #markedText(): string | undefined {
    const { protocol } = this.#options
    const line = this.#textOf('err')
    if (line !== undefined) return failure(errorText(line))
    const status = this.#textOf('ok')
    if (status !== undefined) return `+${inOneLine(status)}\r\n`
    const double = this.#numberOf('double')
    if (double !== undefined) return protocol.double(numberText(double, 17))
    const digits = this.#textOf('big_number')
    if (digits === undefined) return undefined
    const shown = inOneLine(digits)
    return protocol.version === 3 ? `(${shown}\r\n` : bulk(shown)
  }

  #textOf(name: string): string | undefined {
    const isText = this.#machine.pushField(this.#thread, -1, name) === luaType.string
    const text = isText ? this.#machine.stringAt(this.#thread, -1) : undefined
    this.#machine.pop(this.#thread)
    return text
  }

  #numberOf(name: string): number | undefined {
    const isNumber = this.#machine.pushField(this.#thread, -1, name) === luaType.number
    const value = isNumber ? this.#machine.api.lua_tonumber(this.#thread, -1) : undefined
    this.#machine.pop(this.#thread)
    return value
  }

  #verbatim(): boolean {
    const isTable = this.#machine.pushField(this.#thread, -1, 'verbatim_string') === luaType.table
    const format = isTable ? this.#textOf('format') : undefined
    const text = isTable ? this.#textOf('string') : undefined
    this.#machine.pop(this.#thread)
    if (format === undefined || text === undefined) return false
    this.text += this.#options.protocol.verbatim(format.padEnd(3).slice(0, 3), text)
    return true
  }

  #keyed(name: 'map' | 'set'): boolean {
    const { api } = this.#machine
    const thread = this.#thread
    const isTable = this.#machine.pushField(thread, -1, name) === luaType.table
    if (isTable) {
      // How many there are goes before them.
      const before = this.text
      this.text = ''
      let count = 0
      api.lua_pushnil(thread)
      while (api.lua_next(thread, -2) !== 0) {
        if (name === 'set') this.#machine.pop(thread)
        api.lua_pushvalue(thread, name === 'set' ? -1 : -2)
        this.value()
        if (name === 'map') this.value()
        count++
      }
      const { protocol } = this.#options
      this.text = before + protocol[name](count) + this.text
    }
    this.#machine.pop(thread)
    return isTable
  }

  #list(): void {
    const { api } = this.#machine
    const before = this.text
    this.text = ''
    let count = 0
    for (;;) {
      api.lua_rawgeti(this.#thread, -1, count + 1)
      if (api.lua_type(this.#thread, -1) === luaType.nil) break
      this.value()
      count++
    }
    this.#machine.pop(this.#thread)
    this.text = `${before}*${count}\r\n${this.text}`
  }
}

/** The line of an error, which is one. */
export function errorText(line: string): string {
  return inOneLine(line.replace(/^[\r\n]+|[\r\n]+$/g, ''))
}

function inOneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ')
}

/** As C converts a double to 64 bits on x86-64. */
function truncated(value: number): number | bigint {
  const whole = Math.trunc(value)
  if (Number.isSafeInteger(whole)) return whole === 0 ? 0 : whole
  return Math.abs(whole) < 2 ** 63 ? BigInt(whole) : -(2n ** 63n)
}
