/**
 * `math.random` as Redis has it: the generator of POSIX's lrand48, which gives the same numbers for the same seed everywhere.
 *
 *     x ← (0x5DEECE66D · x + 0xB) mod 2^48, of which the highest 31 bits are the number
 */

import type { HostFunction, LuaMachine, Thread } from './machine.ts'

const factor = 0x5deece66dn
const addend = 0xbn
const seedEnd = 0x330en
const range = 2 ** 31 - 1

/** `random` gives the first seed. */
export function randomFunctions(
  machine: LuaMachine,
  random: () => number,
): Record<string, HostFunction> {
  const { api } = machine
  let state = 0n
  const seed = (value: number): void => {
    state = (BigInt.asUintN(32, BigInt(value | 0)) << 16n) | seedEnd
  }
  seed(Math.floor(random() * 2 ** 32))
  const next = (): number => {
    state = BigInt.asUintN(48, factor * state + addend)
    return (Number(state >> 17n) % range) / range
  }
  const integer = (thread: Thread, argument: number): number =>
    Math.trunc(api.luaL_checknumber(thread, argument))
  return {
    random(thread) {
      const fraction = next()
      const count = api.lua_gettop(thread)
      if (count > 2) machine.raise(thread, 'wrong number of arguments')
      if (count === 0) {
        api.lua_pushnumber(thread, fraction)
        return 1
      }
      const low = count === 1 ? 1 : integer(thread, 1)
      const high = integer(thread, count)
      if (low > high) machine.raiseArgument(thread, count, 'interval is empty')
      api.lua_pushnumber(thread, Math.floor(fraction * (high - low + 1)) + low)
      return 1
    },
    randomseed(thread) {
      seed(integer(thread, 1))
      return 0
    },
  }
}
