/**
 * What a script of a client finds in Lua, and all that it finds: Redis's globals, which it cannot change.
 *
 * Redis has patched Lua, so that a table can be marked as one that is only read. Here a script gets a stand-in for each such
 * table: an empty table whose metatable, which cannot be had or replaced, leads reads to the table and refuses writes. The
 * functions that write past metatables know the stand-ins (`base-functions.ts`). Only `pairs` tells the difference: there is
 * nothing in them.
 *
 * A script runs in a thread of its own, which is given up where the run was left in the middle. Its globals KEYS and ARGV are
 * set for each run; whatever else it makes is gone at its end.
 */

import { baseFunctions } from './base-functions.ts'
import { bitFunctions } from './bits.ts'
import { jsonLibrary } from './json.ts'
import {
  registryIndex,
  globalsIndex,
  LuaMachine,
  type HostFunction,
  type MachineOptions,
  type Thread,
} from './machine.ts'
import { messagePackFunctions } from './message-pack.ts'
import { luaModule } from './package.ts'
import { randomFunctions } from './random-numbers.ts'
import { structFunctions } from './struct.ts'

export interface SandboxOptions extends MachineOptions {
  /** The library `redis`. */
  readonly redis: (machine: LuaMachine) => Readonly<Record<string, HostFunction>>
  /** Numbers of it. */
  readonly constants: Readonly<Record<string, number | string>>
  /** A number in [0, 1). */
  readonly random: () => number
}

export class Sandbox {
  readonly machine: LuaMachine
  /** Where the next script runs. */
  thread: Thread
  readonly #resetJson: () => void
  readonly #world: number
  readonly #handler: number
  readonly #threads: number

  /** Throws where the package is not installed. */
  constructor(options: SandboxOptions) {
    const machine = new LuaMachine(luaModule(), options)
    this.machine = machine
    const { main, api } = machine
    const json = jsonLibrary(machine)
    this.#resetJson = json.reset
    const { libraries, protect } = baseFunctions(machine)
    const problem = machine.load(main, setup, '=setup')
    if (problem !== undefined) throw new Error(problem)
    machine.pushLibrary({ protect })
    this.#pushLibraries({
      ...libraries,
      redis: options.redis(machine),
      cjson: json.functions,
      cmsgpack: messagePackFunctions(machine),
      struct: structFunctions(machine),
      bit: bitFunctions(machine),
      math: randomFunctions(machine, options.random),
    })
    api.lua_createtable(main, 0, 0)
    for (const [name, value] of Object.entries(options.constants)) {
      if (typeof value === 'string') machine.setStringField(main, name, value)
      else machine.setNumberField(main, name, value)
    }
    api.lua_pushlightuserdata(main, 0)
    api.lua_call(main, 4, 3)
    this.#handler = api.luaL_ref(main, registryIndex)
    this.#world = api.luaL_ref(main, registryIndex)
    // Threads to come have it from this one.
    api.lua_replace(main, globalsIndex)
    api.lua_createtable(main, 0, 0)
    this.#threads = api.luaL_ref(main, registryIndex)
    this.thread = this.#newThread()
  }

  #pushLibraries(
    libraries: Readonly<Record<string, Readonly<Record<string, HostFunction>>>>,
  ): void {
    const { machine } = this
    machine.api.lua_createtable(machine.main, 0, 0)
    for (const [name, functions] of Object.entries(libraries)) {
      machine.pushString(machine.main, name)
      machine.pushLibrary(functions)
      machine.api.lua_rawset(machine.main, -3)
    }
  }

  /** Held until the next one. */
  #newThread(): Thread {
    const { main, api } = this.machine
    api.lua_rawgeti(main, registryIndex, this.#threads)
    const thread = api.lua_newthread(main)
    api.lua_rawseti(main, -2, 1)
    this.machine.pop(main)
    return thread
  }

  /** Gives up the thread: what runs in it was left in the middle, by a function of the host that threw. */
  abandon(): void {
    this.machine.unwind()
    this.thread = this.#newThread()
  }

  /** A script, ready to run: its reference, or what is wrong with it. */
  compile(text: string): number | string {
    const { machine } = this
    const problem = machine.load(machine.main, text, '@user_script')
    return problem ?? machine.api.luaL_ref(machine.main, registryIndex)
  }

  release(script: number): void {
    this.machine.api.luaL_unref(this.machine.main, registryIndex, script)
  }

  /** Runs the script; its result, or its error, is on top of the thread's stack then. */
  run(script: number, keys: readonly string[], args: readonly string[]): 'done' | 'failed' {
    const { machine, thread } = this
    const { api } = machine
    this.#resetJson()
    api.lua_settop(thread, 0)
    api.lua_rawgeti(thread, registryIndex, this.#world)
    this.#setList('KEYS', keys)
    this.#setList('ARGV', args)
    machine.pop(thread)
    api.lua_rawgeti(thread, registryIndex, this.#handler)
    api.lua_rawgeti(thread, registryIndex, script)
    return api.lua_pcall(thread, 0, 1, 1) === 0 ? 'done' : 'failed'
  }

  #setList(name: string, values: readonly string[]): void {
    const { machine, thread } = this
    const { api } = machine
    machine.pushString(thread, name)
    api.lua_createtable(thread, values.length, 0)
    for (let at = 0; at < values.length; at++) {
      machine.pushString(thread, values[at] ?? '')
      api.lua_rawseti(thread, -2, at + 1)
    }
    api.lua_rawset(thread, -3)
  }
}

/**
 * Builds the globals of scripts out of Lua's. As the newest versions of Redis, it leaves out getfenv, setfenv and newproxy:
 * with those a script gets at functions that are not its own.
 */
const setup = `
local host, libraries, constants, null = ...
local all = _G
local error, pairs, setmetatable, tostring, type = error, pairs, setmetatable, tostring, type
local getmetatable, getinfo, string, table, math = getmetatable, debug.getinfo, string, table, math

local function refuse()
  error('Attempt to modify a readonly table', 2)
end

local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

local function handler(err)
  local where = getinfo(2, 'nSl')
  if where and where.what == 'C' then where = getinfo(3, 'nSl') end
  if where and where.source == '=setup' then where = getinfo(4, 'nSl') end
  if type(err) ~= 'table' then err = { err = 'ERR ' .. tostring(err) } end
  if where then
    err.source = where.source
    err.line = where.currentline
  end
  return err
end

local function standin(real, metatable)
  local empty = setmetatable({}, { __index = real, __newindex = refuse, __metatable = metatable })
  host.protect(empty, real)
  return empty
end

local hidden = standin({}, false)

local world = {}
for name in ([[assert collectgarbage error gcinfo getmetatable ipairs load loadstring next pairs pcall rawequal
rawget rawset select setmetatable tonumber tostring type unpack xpcall _VERSION]]):gmatch('%S+') do
  world[name] = all[name]
end
for name, func in pairs(libraries['']) do world[name] = func end
for name, func in pairs(libraries.table) do table[name] = func end
for name, func in pairs(libraries.math) do math[name] = func end
for name, value in pairs(constants) do libraries.redis[name] = value end
libraries.cjson.null = null
libraries.cjson._NAME, libraries.cjson._VERSION = 'cjson', '2.1.0'
libraries.cmsgpack._NAME, libraries.cmsgpack._VERSION = 'cmsgpack', 'lua-cmsgpack 0.4.0'

for name, library in pairs({
  string = string, table = table, math = math, coroutine = all.coroutine, redis = libraries.redis,
  cjson = libraries.cjson, cmsgpack = libraries.cmsgpack, struct = libraries.struct, bit = libraries.bit,
}) do
  world[name] = standin(library, false)
end
getmetatable('').__metatable = hidden
setmetatable(world, { __index = missing })

local globals = standin(world, hidden)
world._G = globals
return globals, world, handler
`
