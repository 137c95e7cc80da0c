/** The library `bit`: LuaBitOp, on numbers of 32 bits. */

import { luaType, type HostFunction, type LuaMachine, type Thread } from './machine.ts'

export function bitFunctions(machine: LuaMachine): Record<string, HostFunction> {
  const { api } = machine
  const bitsAt = (thread: Thread, index: number): number =>
    bitsOf(api.luaL_checknumber(thread, index))
  const answer = (thread: Thread, bits: number): number => {
    api.lua_pushnumber(thread, bits | 0)
    return 1
  }
  const fold =
    (combine: (a: number, b: number) => number): HostFunction =>
    (thread) => {
      let bits = bitsAt(thread, 1)
      for (let index = api.lua_gettop(thread); index > 1; index--) {
        bits = combine(bits, bitsAt(thread, index))
      }
      return answer(thread, bits)
    }
  const shift =
    (move: (bits: number, by: number) => number): HostFunction =>
    (thread) =>
      answer(thread, move(bitsAt(thread, 1), bitsAt(thread, 2) & 31))
  return {
    tobit: (thread) => answer(thread, bitsAt(thread, 1)),
    bnot: (thread) => answer(thread, ~bitsAt(thread, 1)),
    band: fold((a, b) => a & b),
    bor: fold((a, b) => a | b),
    bxor: fold((a, b) => a ^ b),
    lshift: shift((bits, by) => bits << by),
    rshift: shift((bits, by) => bits >>> by),
    arshift: shift((bits, by) => bits >> by),
    rol: shift((bits, by) => (bits << by) | (bits >>> (32 - by))),
    ror: shift((bits, by) => (bits << (32 - by)) | (bits >>> by)),
    bswap(thread) {
      const bits = bitsAt(thread, 1)
      const swapped = (bits >>> 24) | ((bits >> 8) & 0xff00) | ((bits & 0xff00) << 8) | (bits << 24)
      return answer(thread, swapped)
    },
    tohex(thread) {
      const bits = bitsAt(thread, 1)
      const wanted = api.lua_type(thread, 2) < luaType.nil ? 8 : bitsAt(thread, 2)
      const digits = Math.min(8, Math.abs(wanted))
      const text = (bits >>> 0)
        .toString(16)
        .padStart(8, '0')
        .slice(8 - digits)
      machine.pushString(thread, wanted < 0 ? text.toUpperCase() : text)
      return 1
    },
  }
}

/** The lowest 32 bits, of a number that is rounded half to even, as adding 2^52 + 2^51 does. */
function bitsOf(value: number): number {
  if (Number.isInteger(value)) return value | 0
  const magic = 6_755_399_441_055_744
  return (value + magic - magic) | 0
}
