/**
 * Functions of Lua's own libraries that a script gets in another form, since what they can do would outlive it or reach
 * beyond it: writing into what is protected, loading bytecode, stopping the collector.
 */

import {
  allResults,
  globalsIndex,
  luaType,
  registryIndex,
  type HostFunction,
  type LuaMachine,
  type Thread,
} from './machine.ts'
import { TextBuilder } from './text-builder.ts'

/** What begins a compiled chunk. Nothing checks one: it could do anything within the machine. */
export const bytecodeStart = '\u001b'

export interface BaseFunctions {
  /** By the name of their library; '' are the globals. */
  readonly libraries: Readonly<Record<string, Readonly<Record<string, HostFunction>>>>
  /** Called by the sandbox for each table of which a script sees a stand-in: both are arguments. */
  readonly protect: HostFunction
}

/** Before the machine's globals are taken away. */
export function baseFunctions(machine: LuaMachine): BaseFunctions {
  const { api } = machine
  /** Addresses of stand-ins, and references of what they stand for. */
  const standIns = new Map<number, number>()
  const original = (library: string, name: string): HostFunction => {
    api.lua_pushvalue(machine.main, globalsIndex)
    if (library !== '') machine.pushField(machine.main, -1, library)
    machine.pushField(machine.main, -1, name)
    const at = api.lua_tocfunction(machine.main, -1)
    machine.pop(machine.main, library === '' ? 2 : 3)
    return api.__indirect_function_table.get(at) as HostFunction
  }
  const guarded = (library: string, name: string): HostFunction => {
    const unguarded = original(library, name)
    return (thread) => {
      if (standIns.has(api.lua_topointer(thread, 1))) {
        machine.pushString(thread, 'Attempt to modify a readonly table')
        machine.raiseTop(thread)
      }
      return unguarded(thread)
    }
  }
  const rawget = original('', 'rawget')
  const collectgarbage = original('', 'collectgarbage')
  return {
    libraries: {
      '': {
        setmetatable: guarded('', 'setmetatable'),
        rawset: guarded('', 'rawset'),
        rawget(thread) {
          const behind = standIns.get(api.lua_topointer(thread, 1))
          if (behind !== undefined) {
            api.lua_rawgeti(thread, registryIndex, behind)
            api.lua_replace(thread, 1)
          }
          return rawget(thread)
        },
        collectgarbage(thread) {
          const what = api.lua_type(thread, 1) <= luaType.nil ? '' : machine.checkString(thread, 1)
          if (!settingsOfCollector.has(what)) return collectgarbage(thread)
          api.lua_pushnumber(thread, 0)
          return 1
        },
        pcall: (thread) => protectedCall(machine, thread),
        loadstring(thread) {
          const text = machine.checkString(thread, 1)
          return loaded(machine, thread, text, chunkName(machine, thread, text))
        },
        load(thread) {
          api.luaL_checktype(thread, 1, luaType.function)
          const name = chunkName(machine, thread, '=(load)')
          const text = piecesOf(machine, thread)
          return text === undefined ? 2 : loaded(machine, thread, text, name)
        },
      },
      table: {
        insert: guarded('table', 'insert'),
        remove: guarded('table', 'remove'),
        sort: guarded('table', 'sort'),
      },
    },
    protect(thread) {
      const address = api.lua_topointer(thread, 1)
      api.lua_settop(thread, 2)
      standIns.set(address, api.luaL_ref(thread, registryIndex))
      return 0
    },
  }
}

const settingsOfCollector = new Set(['stop', 'restart', 'setpause', 'setstepmul'])

/** As in Redis: where the error is a table of `redis.call`, what comes back is its text. */
function protectedCall(machine: LuaMachine, thread: Thread): number {
  const { api } = machine
  const count = api.lua_gettop(thread)
  if (count === 0) {
    api.lua_pushboolean(thread, 0)
    machine.pushString(thread, 'attempt to call a boolean value')
    return 2
  }
  if (api.lua_pcall(thread, count - 1, allResults, 0) === 0) {
    machine.needStack(thread, 1)
    api.lua_pushboolean(thread, 1)
    api.lua_insert(thread, 1)
    return api.lua_gettop(thread)
  }
  if (api.lua_type(thread, -1) === luaType.table) {
    const type = machine.pushField(thread, -1, 'err')
    if (type === luaType.string || type === luaType.number) api.lua_replace(thread, -2)
    else machine.pop(thread)
  }
  api.lua_pushboolean(thread, 0)
  api.lua_insert(thread, -2)
  return 2
}

function chunkName(machine: LuaMachine, thread: Thread, otherwise: string): string {
  const isGiven = machine.api.lua_type(thread, 2) > luaType.nil
  return isGiven ? machine.checkString(thread, 2) : otherwise
}

function loaded(machine: LuaMachine, thread: Thread, text: string, name: string): number {
  const problem = text.startsWith(bytecodeStart)
    ? 'bytecode cannot be loaded'
    : machine.load(thread, text, name.split('\0', 1)[0] ?? '')
  if (problem === undefined) return 1
  machine.api.lua_pushnil(thread)
  machine.pushString(thread, problem)
  return 2
}

/** What a function gives until it gives nothing. undefined where it fails: nil and the error are on the stack then. */
function piecesOf(machine: LuaMachine, thread: Thread): string | undefined {
  const { api } = machine
  const out = new TextBuilder(machine)
  for (;;) {
    api.lua_pushvalue(thread, 1)
    if (api.lua_pcall(thread, 0, 1, 0) !== 0) {
      api.lua_pushnil(thread)
      api.lua_insert(thread, -2)
      return undefined
    }
    const type = api.lua_type(thread, -1)
    if (type !== luaType.nil && type !== luaType.string && type !== luaType.number) {
      api.lua_pushnil(thread)
      machine.pushString(thread, 'reader function must return a string')
      return undefined
    }
    const piece = machine.stringAt(thread, -1) ?? ''
    machine.pop(thread)
    if (piece === '') return out.text
    out.add(piece)
  }
}
