/**
 * Lua for scripts, without a server: what it is, what a script of a client cannot do in it, and that there is an end to
 * whatever it does.
 */

import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { interruptible } from '../../../src/server/redis/lua/interruptible.ts'
import { numberText } from '../../../src/server/redis/lua/number-text.ts'
import { compile, luaModule } from '../../../src/server/redis/lua/package.ts'
import { luaType, type HostFunction } from '../../../src/server/redis/lua/machine.ts'
import { Sandbox } from '../../../src/server/redis/lua/sandbox.ts'

const mebibyte = 1024 * 1024

interface Bounds {
  readonly maxBytes?: number
  readonly maxMs?: number
  /** Instead of the library `redis`. */
  readonly redis?: Readonly<Record<string, HostFunction>>
}

interface Lua {
  readonly sandbox: Sandbox
  /** What the script returns, as a text. Throws the error of the script, or why it was stopped. */
  readonly run: (text: string, args?: readonly string[]) => string
  /** The message of the error that the script ends with. */
  readonly failure: (text: string) => string
}

function lua({ maxBytes = 64 * mebibyte, maxMs = 60_000, redis = {} }: Bounds = {}): Lua {
  let until = Infinity
  const sandbox = new Sandbox({
    maxBytes,
    tick: () => {
      if (systemClock.now() >= until) throw new Error('out of time')
    },
    outOfMemory: () => new Error('out of memory'),
    redis: () => redis,
    constants: {},
    random: () => 0.5,
  })
  const { machine } = sandbox
  const run = (text: string, args: readonly string[] = []): string => {
    until = systemClock.now() + maxMs
    const compiled = sandbox.compile(text)
    if (typeof compiled === 'string') throw new Error(compiled)
    const outcome = sandbox.run(compiled, [], args)
    const { thread } = sandbox
    if (outcome === 'failed') {
      if (machine.api.lua_type(thread, -1) === luaType.table) machine.pushField(thread, -1, 'err')
      throw new Error(machine.stringAt(thread, -1))
    }
    sandbox.release(compiled)
    if (machine.api.lua_type(thread, -1) === luaType.boolean) {
      return machine.api.lua_toboolean(thread, -1) === 0 ? 'false' : 'true'
    }
    return machine.stringAt(thread, -1) ?? machine.typeName(thread, -1)
  }
  const failure = (text: string): string => {
    try {
      return `no error: ${run(text)}`
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return { sandbox, run, failure }
}

describe('the language', () => {
  test.each([
    ['return 10 / 2', '5'],
    ['return 1 / 3', '0.33333333333333'],
    ['return 2 ^ 53', '9.007199254741e+15'],
    ['return _VERSION', 'Lua 5.1'],
    ['return select("#", unpack({1, 2, nil, 4}, 1, 4))', '4'],
    ['return table.getn({1, 2, 3})', '3'],
    ['return loadstring("return 6 * 7")()', '42'],
    ['local function f(...) return arg.n end return f(1, 2)', '2'],
    ['return ("%5.2f|%q|%x"):format(3.14159, "a\\nb", 255)', ' 3.14|"a\\\nb"|ff'],
    ['return (("key=value"):gsub("(%w+)=(%w+)", "%2=%1"))', 'value=key'],
    ['return math.fmod(-5, 3) .. "," .. -5 % 3', '-2,1'],
    ['local ok, err = pcall(error, {err = "E x"}) return err', 'E x'],
    [
      'return select(2, xpcall(function() error("x", 0) end, function(e) return "<" .. e .. ">" end))',
      '<x>',
    ],
    ['local c = coroutine.wrap(function(a) coroutine.yield(a + 1) end) return c(1)', '2'],
    ['return tostring(nil) .. tostring(true)', 'niltrue'],
    ['local t = setmetatable({}, {__index = function(_, k) return k .. "!" end}) return t.x', 'x!'],
  ])('is Lua 5.1: %s', (text, result) => {
    expect(lua().run(text)).toBe(result)
  })

  test('has strings of any bytes, and as long as memory goes', () => {
    const { run } = lua()
    const bytes = Array.from({ length: 256 }, (_, at) => String.fromCharCode(at)).join('')
    expect(run('return ARGV[1]', [bytes])).toBe(bytes)
    expect(run('return #ARGV[1]', [bytes])).toBe('256')
    expect(run('return ARGV[1]:reverse():reverse()', [bytes])).toBe(bytes)
    const long = 'ab\0'.repeat(700_000)
    expect(run('return ARGV[1] .. "c"', [long])).toBe(`${long}c`)
  })

  test('raises errors that functions of the host raise where the script is', () => {
    const { failure } = lua()
    expect(failure('\n\nreturn cjson.decode("[1")')).toBe(
      'ERR user_script:3: Expected comma or array end but found T_END at character 3',
    )
    expect(failure('return cjson.decode()')).toContain("bad argument #1 to 'decode'")
    expect(failure('return foo.bar')).toContain('nonexistent global variable')
  })
})

describe('numbers as text', () => {
  test.each([
    [0, 17, '0'],
    [-0, 17, '-0'],
    [0.1, 17, '0.10000000000000001'],
    [0.1, 14, '0.1'],
    [1e15, 14, '1e+15'],
    [1e15, 17, '1000000000000000'],
    [123_456_789_012_345_680, 17, '1.2345678901234568e+17'],
    [1e-5, 17, '1.0000000000000001e-05'],
    [0.0001, 14, '0.0001'],
    [2 ** 63, 17, '9.2233720368547758e+18'],
    [-1.5e300, 14, '-1.5e+300'],
    [Infinity, 17, 'inf'],
    [-Infinity, 17, '-inf'],
    [2 ** -25, 17, '2.9802322387695312e-08'],
    [123_456_789_012_345, 14, '1.2345678901234e+14'],
    [123_456_789_012_355, 14, '1.2345678901236e+14'],
    [0.5, 17, '0.5'],
    [1234.5, 14, '1234.5'],
    [Number.NaN, 17, 'nan'],
    [9.999999999999996, 14, '10'],
  ])('%d with %d digits', (value, digits, text) => {
    expect(numberText(value, digits)).toBe(text)
  })
})

describe('what a script cannot change', () => {
  const readonly = 'Attempt to modify a readonly table'
  test.each([
    'x = 1',
    '_G.x = 1',
    '_G = {}',
    'redis = nil',
    'redis.call = nil',
    'cjson.encode = nil',
    'string.rep = nil',
    'table.insert = nil',
    'math.random = nil',
    'coroutine.wrap = nil',
    'function string.trim() end',
    'rawset(_G, "x", 1)',
    'rawset(redis, "call", 1)',
    'rawset(string, "rep", 1)',
    'setmetatable(_G, {})',
    'setmetatable(redis, {})',
    'getmetatable(_G).__index = {}',
    'getmetatable("").__index = {}',
    'getmetatable("").x = 1',
    'rawset(getmetatable(""), "__index", {})',
    'table.insert(_G, 1)',
    'table.insert(redis, 1)',
    'table.remove(string, 1)',
    'table.sort(math)',
    'loadstring("x = 1")()',
    'coroutine.wrap(function() x = 1 end)()',
  ])('%s', (text) => {
    expect(lua({ redis: { call: () => 0 } }).failure(text)).toContain(readonly)
  })

  test.each([
    'loadfile',
    'dofile',
    'print',
    'require',
    'module',
    'package',
    'io',
    'os',
    'debug',
    'newproxy',
    'getfenv',
    'setfenv',
  ])('there is no %s', (name) => {
    expect(lua().failure(`return ${name}`)).toContain(
      `Script attempted to access nonexistent global variable '${name}'`,
    )
    expect(lua().run(`return type(rawget(_G, '${name}'))`)).toBe('nil')
  })

  test('the globals are there for rawget, and what is protected has nothing to be walked over', () => {
    const { run } = lua()
    expect(run('return type(rawget(_G, "string"))')).toBe('table')
    expect(run('return type(rawget(string, "rep"))')).toBe('function')
    expect(run('local n = 0 for _ in pairs(string) do n = n + 1 end return n')).toBe('0')
    expect(run('return getmetatable(redis)')).toBe('false')
    expect(run('return next(getmetatable(_G)) == nil and next(getmetatable("")) == nil')).toBe(
      'true',
    )
  })

  test('nothing of a script is left for the next one', () => {
    const { run, failure } = lua()
    run('local x = 1 KEYS.x = 1 ARGV[1] = 1')
    run('cjson.encode_sparse_array(true) cjson.encode_number_precision(3)')
    run('collectgarbage("stop") collectgarbage("setpause", 100000)')
    expect(failure('return x')).toContain('nonexistent global variable')
    expect(run('return cjson.encode(1.23456)')).toBe('1.23456')
    expect(failure('return cjson.encode({[1000] = 1})')).toContain('excessively sparse array')
    // The collector goes on: this makes far more than the memory that there is.
    expect(run('local s for i = 1, 200 do s = i .. ("x"):rep(1000):rep(1000) end return #s')).toBe(
      '1000003',
    )
  })

  test('bytecode is not loaded', () => {
    const { run } = lua()
    expect(
      run('local f, err = loadstring(string.dump(function() end)) return tostring(f) .. err'),
    ).toBe('nilbytecode cannot be loaded')
    const pieces = `local code = string.dump(function() end)
      local at = 0
      local f, err = load(function() at = at + 1 return code:sub(at, at) end)
      return tostring(f) .. err`
    expect(run(pieces)).toBe('nilbytecode cannot be loaded')
    expect(
      run(
        'return load(coroutine.wrap(function() for c in ("return 7"):gmatch(".") do coroutine.yield(c) end end))()',
      ),
    ).toBe('7')
  })
})

describe('a script that does not end', () => {
  test.each([
    ['while true do end'],
    ['repeat until false'],
    ['local function f() return f() end f()'],
    ['while true do pcall(function() while true do end end) end'],
    ['pcall(function() while true do end end) return "caught"'],
    ['while true do pcall(error) end'],
    ['while true do pcall(string.rep) end'],
    ['coroutine.wrap(function() while true do end end)()'],
    ['while true do coroutine.wrap(function() coroutine.yield() end)() end'],
    ['xpcall(function() while true do end end, function() while true do end end)'],
    [
      'string.rep("", 2^31 - 1) string.rep("", 2^31 - 1) string.rep("", 2^31 - 1) while true do end',
    ],
    ['return ("a"):rep(100):find(("a?"):rep(100) .. ("a"):rep(100))'],
    ['return ("a"):rep(30000):find((".-"):rep(30) .. "b")'],
    ['return (("a"):rep(20000):gsub((".-"):rep(20) .. "b", ""))'],
    ['for w in ("a"):rep(30000):gmatch((".-"):rep(30) .. "b") do end'],
    ['local s = ("a"):rep(2^22) return (s .. "b"):find(s:sub(1, 2^21) .. "c", 1, true)'],
    ['table.insert({}, -2^31 + 1, 1) while true do end'],
    [
      'local t = {} for i = 1, 100000 do t[i] = i % 2 end pcall(table.sort, t, function() return true end) while true do end',
    ],
    ['while true do collectgarbage() end'],
    ['local s = ("x"):rep(2^24) while true do local t = s:upper() end'],
    ['setmetatable({}, {__index = function(t, k) return t[k + 1] end})[1] = nil while true do end'],
    [
      'local t = setmetatable({}, {}) getmetatable(t).__index = t while true do pcall(function() return t.x end) end',
    ],
    ['load(function() return " " end)'],
    ['while true do loadstring("return 1") end'],
    ['local t = {} while true do t = cjson.decode(cjson.encode({1, 2, 3})) end'],
    [
      'local t = {} for i = 1, 100000 do t[i] = i end while true do cmsgpack.unpack(cmsgpack.pack(t)) end',
    ],
  ])('is stopped: %s', { timeout: 30_000 }, (text) => {
    const maxMs = 100
    const { failure } = lua({ maxMs })
    const start = systemClock.now()
    // Some find the end of the stack or of memory before.
    expect(failure(text)).toMatch(/^(out of time|out of memory|.*stack)/)
    expect(systemClock.now() - start).toBeLessThan(50 * maxMs)
  })

  test('is stopped while it is compiled', () => {
    const { failure } = lua({ maxMs: 0 })
    expect(failure(`return 1 ${' '.repeat(8 * mebibyte)}`)).toBe('out of time')
  })
})

describe('a script that takes too much', () => {
  test.each([
    ['local s = "x" while true do s = s .. s end'],
    ['return ("x"):rep(2^31 - 1)'],
    ['return pcall(string.rep, "x", 2^30)'],
    ['local t = {} for i = 1, 1e9 do t[i] = {} end'],
    ['local t = {} while true do t[#t + 1] = #t .. ("x"):rep(1000) end'],
    ['while true do pcall(function() local s = "x" while true do s = s .. s end end) end'],
    [
      'local t = {} for i = 1, 1000 do t[i] = i .. ("x"):rep(1000):rep(1000) end return table.concat(t)',
    ],
    ['return (("x"):rep(1000):gsub("x", ("y"):rep(1000):rep(1000)))'],
    [
      'return ("%s"):rep(1000):format(unpack((function() local t = {} for i = 1, 1000 do t[i] = i .. ("x"):rep(1000):rep(1000) end return t end)()))',
    ],
    ['local t = {("x"):rep(1000)} for d = 1, 900 do t = {t, t} end return cjson.encode(t)'],
    [
      'local t = {("x"):rep(1000)} for d = 1, 12 do local u = {} for i = 1, 20 do u[i] = t end t = u end return cmsgpack.pack(t)',
    ],
    [
      'return struct.pack(("c0"):rep(1000), unpack((function() local t, s = {}, ("x"):rep(1000):rep(1000) for i = 1, 1000 do t[i] = s end return t end)()))',
    ],
    ['load(function() return ("x"):rep(1000):rep(1000) end)'],
    ['local t = {} while true do t[#t + 1] = coroutine.create(function() end) end'],
    [
      'local s = ("x"):rep(1000):rep(1000) local t = {} for i = 1, 1e6 do t[i] = loadstring("return \\"" .. s .. i .. "\\"") end',
    ],
  ])('is stopped: %s', { timeout: 30_000 }, (text) => {
    const { failure, sandbox } = lua({ maxBytes: 32 * mebibyte, maxMs: 20_000 })
    expect(failure(text)).toMatch(/out of memory/)
    expect(sandbox.machine.bytes).toBeLessThanOrEqual(32 * mebibyte)
  })

  test.each([
    ['local function f() return 1 + f() end return f()', 'stack overflow'],
    [
      'local f f = function() local ok, e = pcall(f) if not ok then error(e, 0) end end f()',
      'stack overflow',
    ],
    [
      'local s = ("("):rep(1000) return loadstring("return " .. s)()',
      'attempt to call a nil value',
    ],
    ['return unpack({}, 1, 1e7)', 'too many results to unpack'],
    ['return ("x"):rep(1000):rep(1000):byte(1, -1)', 'string slice too long'],
    ['local t = {} t[1] = t return cjson.encode(t)', 'Cannot serialise, excessive nesting (1001)'],
    ['return cjson.decode(("["):rep(2000))', 'Found too many nested data structures (1001)'],
    ['return cmsgpack.unpack(("\\145"):rep(1e6))', 'stack overflow'],
    ['return cmsgpack.unpack("\\221\\255\\255\\255\\255")', 'Missing bytes in input.'],
    ['return struct.unpack("c0", "abc")', "format 'c0' needs a previous size"],
    ['return struct.pack("i99", 1)', 'integral size 99 is larger than limit of 32'],
    ['return coroutine.wrap(function() error("deep", 0) end)()', 'deep'],
    ['setmetatable(_G, {__index = function() end})', 'readonly'],
  ])('finds an end of another kind: %s', (text, message) => {
    expect(lua().failure(text)).toContain(message)
  })

  test('leaves those alone that come after, in a new state or the same', () => {
    const { run, failure, sandbox } = lua()
    for (let n = 0; n < 200; n++) expect(failure('error({err = "E again"})')).toBe('E again')
    for (let n = 0; n < 200; n++) run('return coroutine.wrap(function() return {} end)()')
    expect(sandbox.machine.api.lua_gettop(sandbox.machine.main)).toBe(0)
    expect(run('return "well"')).toBe('well')
  })
})

describe('a function of the host that throws', () => {
  test('gives up the thread, and the next script runs in another', () => {
    const thrown = new Error('not now')
    let throws = true
    const { sandbox, run } = lua({
      redis: {
        call: () => {
          if (throws) throw thrown
          return 0
        },
      },
    })
    const text = `local ok = pcall(function() coroutine.wrap(function() redis.call() end)() end)
      return 'ran ' .. tostring(ok)`
    for (let n = 0; n < 100; n++) {
      throws = true
      expect(() => run(text)).toThrow(thrown)
      sandbox.abandon()
      throws = false
      expect(run(text)).toBe('ran true')
    }
    expect(run('collectgarbage() return "well"')).toBe('well')
  })
})

describe('the package', () => {
  test('that is not installed is named, with the command that helps', () => {
    const missing = new Error("Cannot find module 'wasmoon-lua5.1'")
    const load = (): unknown =>
      compile(() => {
        throw missing
      })
    expect(load).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', cause: missing }))
    expect(load).toThrow(/npm install wasmoon-lua5\.1/)
  })

  test('is compiled once', () => {
    expect(luaModule()).toBe(luaModule())
  })
})

describe('a module', () => {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
  const importTick = [2, 8, 1, 1, 0x65, 1, 0x74, 0, 0, 0]
  const global = [6, 6, 1, 0x7f, 1, 0x41, 0, 0x0b]
  test.each([
    ['has no import to ask', [...header, 2, 1, 0], 'does not import t'],
    ['imports a memory', [...header, 2, 8, 1, 1, 0x65, 1, 0x6d, 2, 0, 1], 'more than functions'],
    ['ends in the middle', [...header, 2, 200], 'ends in the middle'],
    ['has no globals', [...header, ...importTick, 10, 1, 0], 'has no globals'],
    [
      'has an instruction of vectors',
      [...header, ...importTick, ...global, 10, 5, 1, 3, 0, 0xfd, 0x0b],
      '0xfd',
    ],
    [
      'has one of tables',
      [...header, ...importTick, ...global, 10, 6, 1, 4, 0, 0xfc, 0x0e, 0x0b],
      '0xfc 14',
    ],
  ])('that %s is refused', (_what, bytes, message) => {
    expect(() => interruptible(Uint8Array.from(bytes), 't')).toThrow(message)
  })
})
