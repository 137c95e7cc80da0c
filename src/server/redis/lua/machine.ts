/**
 * One Lua state in a WebAssembly instance of its own: the C API of Lua 5.1 with typed names, strings that are binary
 * strings (one character for each byte), functions of the host, and two bounds that hold whatever runs in it.
 *
 * - Memory: the instance never grows beyond `maxBytes`.
 * - Time: `tick` is asked ten thousand times a second or so, from wherever the code is; see `interruptible.ts`.
 *
 * Of the host it has nothing but what is imported below: no clock, no file, no environment.
 *
 * An error of Lua is raised by `lua_error`, which throws `jump` here, and `lua_pcall` catches it. Whatever else is thrown
 * through Lua leaves it as it was in the middle: the state is fit for nothing then but to be dropped, unless the throw came
 * from a function of the host, and the thread that called it is given up (`abandon`).
 */

import { latin1Of } from '../latin1.ts'
import { tickImport } from './package.ts'
import { WebAssembly, type WasmMemory, type WasmModule, type WasmTable } from './web-assembly.ts'

/** Address of a Lua thread. */
export type Thread = number

/** A function that Lua calls: its arguments are on the stack, and it returns how many results are. */
export type HostFunction = (thread: Thread) => number

/** The part of Lua's C API that is used here. Addresses and lengths are numbers; a boolean is 0 or 1. */
interface LuaApi {
  readonly memory: WasmMemory
  readonly __indirect_function_table: WasmTable
  readonly fuel: { value: number }
  __wasm_call_ctors(): void
  emscripten_stack_init(): void
  stackSave(): number
  stackRestore(at: number): void
  setThrew(threw: number, value: number): void
  malloc(bytes: number): number
  free(address: number): void
  readonly luaopen_base: unknown
  readonly luaopen_table: unknown
  readonly luaopen_string: unknown
  readonly luaopen_math: unknown
  readonly luaopen_debug: unknown
  luaL_newstate(): Thread
  luaL_loadbuffer(thread: Thread, text: number, bytes: number, name: number): number
  luaL_ref(thread: Thread, table: number): number
  luaL_unref(thread: Thread, table: number, reference: number): void
  luaL_where(thread: Thread, level: number): void
  luaL_argerror(thread: Thread, argument: number, message: number): number
  luaL_checklstring(thread: Thread, argument: number, length: number): number
  luaL_checknumber(thread: Thread, argument: number): number
  luaL_checktype(thread: Thread, argument: number, type: number): void
  lua_newthread(thread: Thread): Thread
  lua_checkstack(thread: Thread, slots: number): number
  lua_gettop(thread: Thread): number
  lua_settop(thread: Thread, top: number): void
  lua_insert(thread: Thread, index: number): void
  lua_replace(thread: Thread, index: number): void
  lua_pushvalue(thread: Thread, index: number): void
  lua_type(thread: Thread, index: number): number
  lua_tonumber(thread: Thread, index: number): number
  lua_toboolean(thread: Thread, index: number): number
  lua_isnumber(thread: Thread, index: number): number
  lua_tocfunction(thread: Thread, index: number): number
  lua_topointer(thread: Thread, index: number): number
  lua_tolstring(thread: Thread, index: number, length: number): number
  lua_touserdata(thread: Thread, index: number): number
  lua_pushnil(thread: Thread): void
  lua_pushnumber(thread: Thread, value: number): void
  lua_pushboolean(thread: Thread, value: number): void
  lua_pushlstring(thread: Thread, text: number, bytes: number): void
  lua_pushcclosure(thread: Thread, func: number, upvalues: number): void
  lua_pushlightuserdata(thread: Thread, address: number): void
  lua_createtable(thread: Thread, items: number, fields: number): void
  lua_rawget(thread: Thread, index: number): void
  lua_rawgeti(thread: Thread, index: number, item: number): void
  lua_rawset(thread: Thread, index: number): void
  lua_rawseti(thread: Thread, index: number, item: number): void
  lua_next(thread: Thread, index: number): number
  lua_call(thread: Thread, args: number, results: number): void
  lua_pcall(thread: Thread, args: number, results: number, handler: number): number
  lua_error(thread: Thread): number
  lua_gc(thread: Thread, what: number, value: number): number
}

export const luaType = {
  nil: 0,
  boolean: 1,
  lightUserdata: 2,
  number: 3,
  string: 4,
  table: 5,
  function: 6,
} as const

const typeNames = [
  ...['nil', 'boolean', 'userdata', 'number', 'string', 'table', 'function', 'userdata', 'thread'],
]

export const registryIndex = -10_000
export const globalsIndex = -10_002
export const allResults = -1

const pageBytes = 65_536
const scratchBytes = 65_536
/** Shorter texts are faster written by hand. */
const shortText = 32
/** Asked after so many loops and calls within Lua: a tenth of a millisecond. */
const ticksFuel = 100_000
/** Copies of at least so much count as long as they take. */
const longCopyBytes = 65_536
/** Starts a collection when memory in use has grown by half since the last one. */
const collectorPause = 150
const gcSetPause = 6
/** Of work outside of WebAssembly. */
const partsBetweenTicks = 4096
/** What a system call answers that there is not: ENOSYS. */
const noSuchCall = -52

/** What `lua_error` throws. */
const jump = new Error('An error of Lua left its protected call.')

export interface MachineOptions {
  /** All of its memory. */
  readonly maxBytes: number
  /** Throws where the code is to stop. */
  readonly tick: () => void
  /** Returns the error that is thrown where more memory is asked for. */
  readonly outOfMemory: () => Error
}

export class LuaMachine {
  readonly api: LuaApi
  /** The state's main thread. */
  readonly main: Thread
  readonly #tick: () => void
  readonly #outOfMemory: () => Error
  readonly #maxBytes: number
  readonly #scratch: number
  /** Where `lua_tolstring` leaves a length. */
  readonly #length: number
  #bytes: Buffer
  #words: Int32Array
  /** Of C, while nothing runs. */
  readonly #stack: number

  constructor(module: WasmModule, options: MachineOptions) {
    const known: Record<string, (...args: number[]) => unknown> = {
      [tickImport]: () => {
        options.tick()
        this.api.fuel.value = ticksFuel
        return 1
      },
      invoke_vii: (func = 0, first = 0, second = 0) => {
        const { api } = this
        const stack = api.stackSave()
        const called = api.__indirect_function_table.get(func) as (a: number, b: number) => void
        try {
          called(first, second)
        } catch (error) {
          if (error !== jump) throw error
          api.stackRestore(stack)
          api.setThrew(1, 0)
        }
      },
      _emscripten_throw_longjmp: () => {
        throw jump
      },
      emscripten_memcpy_js: (to = 0, from = 0, bytes = 0) => {
        if (bytes >= longCopyBytes) options.tick()
        this.#bytes.copyWithin(to, from, from + bytes)
      },
      emscripten_resize_heap: (wanted = 0) => {
        const { memory } = this.api
        const now = memory.buffer.byteLength
        // As an unsigned number, and a fifth more than is asked for.
        const least = wanted >>> 0
        if (least > options.maxBytes) throw options.outOfMemory()
        const size = Math.min(options.maxBytes, Math.max(least, now * 1.2))
        memory.grow(Math.ceil(size / pageBytes) - now / pageBytes)
        this.#look(memory)
        return 1
      },
      exit: () => {
        throw new Error('Lua gave up: an error outside of a protected call.')
      },
    }
    const imports: Record<string, Record<string, (...args: number[]) => unknown>> = {}
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      imports[from] ??= {}
      imports[from][name] = known[name] ?? (() => noSuchCall)
    }
    const instance = new WebAssembly.Instance(module, imports)
    const api = instance.exports as unknown as LuaApi
    this.api = api
    this.#tick = options.tick
    this.#outOfMemory = options.outOfMemory
    this.#maxBytes = options.maxBytes
    this.#bytes = Buffer.alloc(0)
    this.#words = new Int32Array(0)
    this.#look(api.memory)
    api.emscripten_stack_init()
    api.__wasm_call_ctors()
    this.#stack = api.stackSave()
    this.#scratch = api.malloc(scratchBytes)
    this.#length = api.malloc(8)
    this.main = api.luaL_newstate()
    api.lua_gc(this.main, gcSetPause, collectorPause)
    this.#open('', api.luaopen_base)
    this.#open('table', api.luaopen_table)
    this.#open('string', api.luaopen_string)
    this.#open('math', api.luaopen_math)
    this.#open('debug', api.luaopen_debug)
  }

  /** Of everything that it has. */
  get bytes(): number {
    return this.api.memory.buffer.byteLength
  }

  #look(memory: WasmMemory): void {
    this.#bytes = Buffer.from(memory.buffer)
    this.#words = new Int32Array(memory.buffer)
  }

  #open(name: string, open: unknown): void {
    this.#pushTableFunction(this.main, open)
    this.pushString(this.main, name)
    this.api.lua_call(this.main, 1, 0)
  }

  #pushTableFunction(thread: Thread, func: unknown): void {
    const { __indirect_function_table: table } = this.api
    const at = table.grow(1)
    table.set(at, func)
    this.api.lua_pushcclosure(thread, at, 0)
  }

  /** Functions of the host by name: leaves a table of them on the main stack. */
  pushLibrary(functions: Readonly<Record<string, HostFunction>>): void {
    const names = Object.keys(functions)
    const wrapped = hostFunctions(Object.values(functions))
    this.api.lua_createtable(this.main, 0, names.length)
    for (const [at, name] of names.entries()) {
      this.pushString(this.main, name)
      this.#pushTableFunction(this.main, wrapped[at])
      this.api.lua_rawset(this.main, -3)
    }
  }

  // ── Strings ──

  pushString(thread: Thread, text: string): void {
    const { length } = text
    if (length > scratchBytes) {
      this.#pushLong(thread, text)
      return
    }
    const at = this.#scratch
    if (length <= shortText) {
      const bytes = this.#bytes
      for (let index = 0; index < length; index++) bytes[at + index] = text.charCodeAt(index)
    } else this.#bytes.write(text, at, 'latin1')
    this.api.lua_pushlstring(thread, at, length)
  }

  #pushLong(thread: Thread, text: string): void {
    const at = this.api.malloc(text.length)
    this.#bytes.write(text, at, 'latin1')
    this.api.lua_pushlstring(thread, at, text.length)
    this.api.free(at)
  }

  /** A string, or a number as Lua writes it; undefined where it is neither. A number on the stack becomes a string. */
  stringAt(thread: Thread, index: number): string | undefined {
    const at = this.api.lua_tolstring(thread, index, this.#length)
    if (at === 0) return undefined
    return latin1Of(this.#bytes, at, at + (this.#words[this.#length >> 2] ?? 0))
  }

  /** `nil`, `table`, … */
  typeName(thread: Thread, index: number): string {
    return typeNames[this.api.lua_type(thread, index)] ?? 'no value'
  }

  /** An argument of a function of the host; raises where it is no string. */
  checkString(thread: Thread, argument: number): string {
    const at = this.api.luaL_checklstring(thread, argument, this.#length)
    return latin1Of(this.#bytes, at, at + (this.#words[this.#length >> 2] ?? 0))
  }

  /** Raises `bad argument #1 to 'name' (message)`. */
  raiseArgument(thread: Thread, argument: number, message: string): never {
    this.#bytes.write(`${message}\0`, this.#scratch, 'latin1')
    this.api.luaL_argerror(thread, argument, this.#scratch)
    throw jump
  }

  // ── Tables ──

  /** Sets a field of the table that is on top of the stack. */
  setStringField(thread: Thread, name: string, value: string): void {
    this.pushString(thread, name)
    this.pushString(thread, value)
    this.api.lua_rawset(thread, -3)
  }

  setBooleanField(thread: Thread, name: string, value: boolean): void {
    this.pushString(thread, name)
    this.api.lua_pushboolean(thread, value ? 1 : 0)
    this.api.lua_rawset(thread, -3)
  }

  setNumberField(thread: Thread, name: string, value: number): void {
    this.pushString(thread, name)
    this.api.lua_pushnumber(thread, value)
    this.api.lua_rawset(thread, -3)
  }

  /** Pushes a field of the table at the index, without metamethods. */
  pushField(thread: Thread, index: number, name: string): number {
    this.pushString(thread, name)
    this.api.lua_rawget(thread, index < 0 && index > registryIndex ? index - 1 : index)
    return this.api.lua_type(thread, -1)
  }

  /** Of what is on top of the stack, where that is a table. */
  fieldIsTrue(thread: Thread, name: string): boolean {
    if (this.api.lua_type(thread, -1) !== luaType.table) return false
    this.pushField(thread, -1, name)
    const isTrue = this.api.lua_toboolean(thread, -1) !== 0
    this.pop(thread)
    return isTrue
  }

  pop(thread: Thread, count = 1): void {
    this.api.lua_settop(thread, -count - 1)
  }

  // ── Running ──

  /** Pushes the function that the text is. Returns what is wrong with it. */
  load(thread: Thread, text: string, name: string): string | undefined {
    const at = this.api.malloc(text.length + name.length + 2)
    this.#bytes.write(text, at, 'latin1')
    const nameAt = at + text.length
    this.#bytes.write(`${name}\0`, nameAt, 'latin1')
    const status = this.api.luaL_loadbuffer(thread, at, text.length, nameAt)
    this.api.free(at)
    if (status === 0) return undefined
    const message = this.stringAt(thread, -1) ?? ''
    this.pop(thread)
    return message
  }

  /** Raises an error of Lua with the text, and where the script is: for functions of the host, which end with it. */
  raise(thread: Thread, message: string): never {
    this.api.luaL_where(thread, 1)
    const where = this.stringAt(thread, -1) ?? ''
    this.pop(thread)
    this.pushString(thread, where + message)
    return this.raiseTop(thread)
  }

  /** After a throw of the host, which leaves the frames of the C calls that it went through on their stack. */
  unwind(): void {
    this.api.stackRestore(this.#stack)
  }

  /** Raises what is on top of the stack. */
  raiseTop(thread: Thread): never {
    this.api.lua_error(thread)
    throw jump
  }

  /** For work that a function of the host does: a text of so many characters is being made of parts. Throws at a bound. */
  worked(parts: number, length: number): void {
    if (length > this.#maxBytes) throw this.#outOfMemory()
    if (parts % partsBetweenTicks === 0) this.#tick()
  }

  /** More room on the stack, for functions that go into tables. Raises where there is none. */
  needStack(thread: Thread, slots: number): void {
    if (this.api.lua_checkstack(thread, slots) === 0) this.raise(thread, 'stack overflow')
  }
}

/**
 * JavaScript functions as functions of WebAssembly, which alone may be in its table: by way of a module that imports them
 * and exports them again.
 */
function hostFunctions(functions: readonly HostFunction[]): unknown[] {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
  const i32 = 0x7f
  const type = [1, 0x60, 1, i32, 1, i32]
  const imports = functions.flatMap((_, at) => [1, 0x65, ...nameOf(at), 0, 0])
  const exports = functions.flatMap((_, at) => [...nameOf(at), 0, at])
  const bytes = [
    ...header,
    ...part(1, type),
    ...part(2, [functions.length, ...imports]),
    ...part(7, [functions.length, ...exports]),
  ]
  const module = new WebAssembly.Module(Uint8Array.from(bytes))
  const given = Object.fromEntries(functions.map((func, at) => [String(at), func]))
  const { exports: wrapped } = new WebAssembly.Instance(module, { e: given })
  return functions.map((_, at) => wrapped[String(at)])
}

function part(id: number, body: readonly number[]): number[] {
  const length = body.length
  return [id, (length & 0x7f) | 0x80, length >> 7, ...body]
}

function nameOf(at: number): number[] {
  const digits = [...Buffer.from(String(at))]
  return [digits.length, ...digits]
}
