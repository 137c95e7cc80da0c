/** Scripts on a real Redis and on this server: the same replies, to the texts of their errors. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { served, type RawClient, type Reply } from './redis-fixture.ts'
import { realRedis, toolUnavailable } from './redis-tools.ts'

const conversions = [
  'return',
  'return nil',
  'return {1, 2, nil, 4}',
  'return {true, false, "x", 3.99, -3.99, {}, {{{}}}}',
  'return {ok = "fine"}',
  'return {ok = "two\\r\\nlines"}',
  'return {err = "MINE fine"}',
  'return {err = ""}',
  'return {err = "MINE two\\r\\nlines\\n"}',
  'return {{err = "inner"}, {ok = "inner"}}',
  'return {double = 1.5}',
  'return {{double = 0.1}, {double = 1e300}, {double = -1/0}, {double = 3}}',
  'return {map = {a = 1}}',
  'return {set = {a = true}}',
  'return {big_number = "12345678901234567890"}',
  'return {verbatim_string = {format = "txt", string = "x"}}',
  'return {verbatim_string = {format = "txt"}}',
  'return function() end',
  'return coroutine.create(function() end)',
  'return setmetatable({}, {__index = function() error("x") end})',
  'return setmetatable({1}, {__index = function(_, i) if i < 5 then return i end end})',
  'return {2^31, 2^53, 2^62, 2^63, -2^63, 2^64, 0/0, 1e300, -0.5}',
  'redis.setresp(3) return {true, false, nil}',
  'redis.setresp(3) return redis.call("HGETALL", "h")',
  'redis.setresp(3) return redis.call("SMEMBERS", "s1")',
  'redis.setresp(3) return tostring(redis.call("GET", "none"))',
  'redis.setresp(3) return {redis.call("HGETALL", "h").map.f, redis.call("SMEMBERS", "s1").set.m}',
  'return redis.call("HGETALL", "h")',
  'return tostring(redis.call("GET", "none"))',
  'return type(redis.call("SET", "a", 1).ok)',
  'return redis.pcall("INCR", "text")',
  'return redis.pcall("INCR", "text").err',
  'return redis.call("INCR", "text")',
  '\nreturn redis.call("INCR", "text")',
  'local function f() redis.call("NOPE") end\n\nf()',
  'return redis.call("nope", 1)',
  'return redis.call("GET")',
  'return redis.call("GET", 1, 2)',
  'return redis.call()',
  'return redis.call(nil)',
  'return redis.call("SET", "a", {})',
  'return redis.call("SET", "a", true)',
  'return redis.call("MULTI")',
  'return redis.call("EVAL", "return 1", 0)',
  'return redis.call("SUBSCRIBE", "x")',
  'return redis.call("BLPOP", "x", 0)',
  'return redis.call("LPUSH", "text", 1)',
  'return {redis.call("LPUSH", "list", 0.1, 1e15, 1e16, 1e17, 2^53 + 1, 1/3, -7, 1e-7, 123456.789)}',
  'return redis.call("RPOP", "none", 2)',
]

// Not among them: a raised table without `err`, which ends a Redis 7.0 with a crash.
const errors = [
  'error("x")',
  'error("x", 0)',
  'error({err = "MINE x"})',
  'error()',
  'error(nil)',
  'error(12)',
  'local t = nil\nreturn t.x',
  'return 1 + {}',
  'return #nil',
  'return ("x").y.z',
  'return nowhere',
  'nowhere = 1',
  'return _G.nowhere',
  'local function f() return g() end return f()',
  'return string.rep()',
  'return ("x"):rep({})',
  'return tonumber("x") .. "y"',
  'return setmetatable(1, {})',
  'return pcall(error)',
  'return {pcall(error, "x")}',
  'return {pcall(error, {err = "E x"})}',
  'return {pcall(redis.call, "INCR", "text")}',
  'return {pcall(redis.call)}',
  'return {pcall(function() return redis.call("INCR", "text") end)}',
  'return {pcall(function() return nowhere end)}',
  'return {pcall()}',
  'return {xpcall(function() error("x") end, function(e) return "<" .. e .. ">" end)}',
  'return select(2, pcall(redis.pcall, "INCR", "text")).err',
  'return redis.error_reply("x")',
  'return redis.error_reply("MINE x")',
  'return redis.error_reply("-MINE x")',
  'return redis.error_reply("")',
  'return redis.error_reply("two\\r\\nlines")',
  'return redis.error_reply(1)',
  'return redis.error_reply({})',
  'return redis.status_reply("x y")',
  'return redis.status_reply()',
  'return redis.sha1hex("")',
  'return redis.sha1hex("x", "y")',
  'return redis.sha1hex(12)',
  'return redis.setresp(4)',
  'return redis.setresp()',
  'return redis.set_repl(9)',
  'return redis.log()',
  'return redis.log("x", "y")',
  'return redis.log(7, "y")',
  'return redis.acl_check_cmd("nope")',
  'return redis.acl_check_cmd()',
  'return {redis.acl_check_cmd("set", "a", "b"), redis.replicate_commands()}',
  'return {redis.LOG_DEBUG, redis.LOG_WARNING, redis.REPL_ALL, redis.REPL_SLAVE, redis.REPL_AOF, redis.REPL_NONE}',
  '#!lua\nreturn 1',
  '#!lua flags=no-writes,allow-stale\nreturn redis.call("SET", "a", 1)',
  '#!lua flags=no-writes\nreturn redis.call("GET", "text")',
  '#!lua flags=nope\nreturn 1',
  '#!lua nope=1\nreturn 1',
  '#!nope\nreturn 1',
  '#!lua',
  'return (',
  'x = = 1',
  'return "unfinished',
  'goto x',
  'for i = 1 do end',
  '\u001bLua',
  'return loadstring("x = = 1")',
  'return {loadstring("x = = 1", "@name")}',
  'return {load(function() return nil end)}',
  'return {pcall(load, function() return {} end)}',
  'return {pcall(load, "return 1")}',
  'redis.call("SELECT", 99)',
  'redis.call("SELECT", "x")',
]

const libraries = [
  'return cjson.encode({1, 2, {a = "b"}, true, false, cjson.null})',
  'return cjson.encode({})',
  'return cjson.encode("\\"\\\\/\\b\\f\\n\\r\\t\\0\\1\\127\\200é")',
  'return cjson.encode({0.1, 1e15, 1e-7, 123456789012345, 1/3, -0})',
  'return cjson.encode({[1] = 1, [3] = 3})',
  'return cjson.encode({[1] = 1, [100] = 3})',
  'return cjson.encode({[1.5] = 1})',
  'return cjson.encode({[true] = 1})',
  'return cjson.encode(0/0)',
  'return cjson.encode(1/0)',
  'return cjson.encode(function() end)',
  'return cjson.encode()',
  'return cjson.encode(1, 2)',
  'return cjson.encode(nil)',
  'local t = {} t.t = t return cjson.encode(t)',
  'return {cjson.encode_max_depth(3), pcall(cjson.encode, {{{{}}}})}',
  'return {pcall(cjson.encode_max_depth, 0)}',
  'return {tostring(cjson.encode_sparse_array(true, 3, 4)), cjson.encode({[100] = 1}), cjson.encode_sparse_array()}',
  'cjson.encode_sparse_array(false, 2, 10) return 1',
  'return {cjson.encode_number_precision(3), cjson.encode(3.14159), cjson.encode_number_precision(14)}',
  'return {pcall(cjson.encode_number_precision, 15)}',
  'return {tostring(cjson.encode_invalid_numbers("null")), cjson.encode({0/0, 1/0}), tostring(cjson.encode_invalid_numbers(false))}',
  'return {tostring(cjson.encode_invalid_numbers(true)), cjson.encode({0/0, 1/0, -1/0}), tostring(cjson.encode_invalid_numbers(false))}',
  'return {tostring(cjson.decode_invalid_numbers(false)), pcall(cjson.decode, "[0x10]"), tostring(cjson.decode_invalid_numbers(true))}',
  'return {cjson.encode_max_depth(1000), cjson.decode_max_depth(1000)}',
  'return cjson.decode("[1, 2.5, -3e2, \\"x\\\\u20ac\\\\ud83d\\\\ude00\\\\n\\", true, false, [], {}]")',
  'return {cjson.decode("[null]")[1] == cjson.null, type(cjson.null)}',
  'return cjson.decode("{\\"a\\": {\\"b\\": [1]}}").a.b',
  'return cjson.decode("[0x1F, inf, -inf, 01]")',
  'return cjson.encode(cjson.decode("{\\"a\\":[1,{}]}"))',
  ...[
    '',
    ' ',
    '[',
    ']',
    '{',
    '[1',
    '[1,',
    '[1,]',
    '[,]',
    '[1 2]',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{"a":1 "b"}',
    '{1:2}',
    '{"a":1',
    'tru',
    'nul',
    'nan',
    'Infinity',
    '+1',
    '-',
    '.5',
    '1.',
    '1e',
    '1e5x',
    '01',
    '0x',
    '"x',
    '"\\\\x"',
    '"\\\\u12"',
    '"\\\\ud800"',
    '"\\\\udc00"',
    '"\\\\ud800\\\\u0041"',
    '1 2',
    '[1]]',
    '/* x */ 1',
    "'x'",
    '\\0',
    'x\\0',
    '\\2551',
    '[1]\\0[2]',
  ].map(
    (json) =>
      `local ok, v = pcall(cjson.decode, '${json}') return {tostring(ok), type(v) == 'table' and cjson.encode(v) or tostring(v)}`,
  ),
  'return cmsgpack.pack(1, -1, 127, 128, 255, 256, 65535, 65536, 2^32 - 1, 2^32, 2^53, -32, -33, -128, -129, -32768, -32769, -2^31, -2^31 - 1, -2^53)',
  'return cmsgpack.pack(0.1, 0.5, 1e300, 1/0, -0.0)',
  'return cmsgpack.pack("", "x", ("x"):rep(31), ("x"):rep(32))',
  'return {#cmsgpack.pack(("x"):rep(255)), #cmsgpack.pack(("x"):rep(256)), #cmsgpack.pack(("x"):rep(65536))}',
  'return cmsgpack.pack(nil, true, false, {}, {1, 2}, {a = 1}, {{{}}}, function() end)',
  'local t = {} for i = 1, 20 do t[i] = i end return cmsgpack.pack(t, {[1] = 1, [3] = 3}, {[1.5] = 1}, {[0] = 1})',
  'local t = {} for i = 1, 17 do t["k" .. i] = nil end t.k = {} return cmsgpack.pack(t)',
  'local t = {} t[1] = t return cmsgpack.pack(t)',
  'return cmsgpack.pack()',
  'return {cmsgpack.unpack(cmsgpack.pack(1, -1, 300, -300, 70000, -70000, 2^40, -2^40, 0.5, "x", true, {1, {2}}))}',
  'return {cmsgpack.unpack("")}',
  'return {pcall(cmsgpack.unpack, "\\193")}',
  'return {pcall(cmsgpack.unpack, "\\205\\1")}',
  'return {pcall(cmsgpack.unpack, "\\161")}',
  'return {pcall(cmsgpack.unpack, "\\220\\0")}',
  'return {pcall(cmsgpack.unpack)}',
  'return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3))}',
  'return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 1)}',
  'return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 2)}',
  'return {pcall(cmsgpack.unpack_one, "x", 5)}',
  'return {pcall(cmsgpack.unpack_one, "x", -1)}',
  'return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2)}',
  'return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2, 1)}',
  'return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 9)}',
  'return {pcall(cmsgpack.unpack_limit, "x")}',
  'return {cmsgpack._NAME, cmsgpack._VERSION, cjson._NAME, cjson._VERSION}',
  'return {bit.tobit(0xffffffff), bit.tobit(2^31), bit.bnot(0), bit.band(0xff, 0x0f, 3), bit.bor(1, 2, 4), bit.bxor(5, 3)}',
  'return {bit.lshift(1, 31), bit.rshift(-1, 28), bit.arshift(-256, 4), bit.rol(0x12345678, 12), bit.ror(0x12345678, 12), bit.lshift(1, 33)}',
  'return {bit.bswap(0x12345678), bit.tohex(255), bit.tohex(255, 4), bit.tohex(-1, -8), bit.tohex(1, 0), bit.tohex(0xabcdef, 20)}',
  'return {bit.tobit(1.5), bit.tobit(2.5), bit.tobit(-0.5), bit.tobit(1e15), bit.tobit(2^40 + 7)}',
  'return bit.band("x")',
  'return bit.band({})',
  'return bit.tobit()',
  'return {bit.band("7", 3)}',
  'return struct.pack(">Hi4", 258, -2)',
  'return struct.pack("<lLTbBhH", -1, 2^40, 3, -4, 200, -5, 60000)',
  'return struct.pack("!8bd", 1, 1.5)',
  'return struct.pack("!bhi", 1, 2, 3)',
  'return struct.pack("fdx", 0.5, 0.1)',
  'return struct.pack("sc5c0", "abc", "abcdefg", "xyz")',
  'return struct.pack("i3I5i16", -2, 5, -7)',
  'return struct.pack("c5", "abc")',
  'return struct.pack("y", 1)',
  'return struct.pack("!3i", 1)',
  'return struct.pack("i33", 1)',
  'return struct.pack("i99999999999", 1)',
  'return struct.pack("i")',
  'return struct.pack(">i8", 2^53)',
  'return {struct.unpack(">Hi4", struct.pack(">Hi4", 258, -2))}',
  'return {struct.unpack("<bBhHiIlL", struct.pack("<bBhHiIlL", -1, 255, -1, 65535, -1, 2^32 - 1, -1, 5))}',
  'return {struct.unpack("sBc0", "abc\\0\\3xyz!")}',
  'return {struct.unpack("i3", "\\255\\255\\255", 1)}',
  'return {struct.unpack("b", "abc", 3)}',
  'return {struct.unpack("b", "abc", 4)}',
  'return {struct.unpack("b", "abc", 0)}',
  'return {struct.unpack("i", "abc")}',
  'return {struct.unpack("c0", "abc")}',
  'return {struct.unpack("s", "abc")}',
  'return {struct.unpack("", "abc")}',
  'return {tostring((struct.unpack("f", struct.pack("f", 0.1)))), tostring((struct.unpack("d", struct.pack("d", 0.1))))}',
  'return {struct.size("bhil"), struct.size("!8bd"), struct.size("c7")}',
  'return struct.size("s")',
  'return struct.size("c0")',
  'return struct.size("y")',
  'math.randomseed(42) return {tostring(math.random()), math.random(10), math.random(5, 7)}',
  'math.randomseed(-1) return {tostring(math.random()), math.random(1000000)}',
  'return math.random(0)',
  'return math.random(3, 2)',
  'return math.random(1, 2, 3)',
  'return math.random({})',
  'return table.concat({tostring(0.1), tostring(1e15), tostring(1e100), tostring(-0), tostring(2^53), tostring(1/0), 10 / 2 .. ""}, ",")',
  'local names = {} for name in pairs(math) do names[#names + 1] = name end return type(names)',
  'return {type(redis.call), type(redis), type(string), type(_G), _VERSION}',
  'return {type(rawget(_G, "redis")), type(rawget(_G, "nope")), type(rawget(redis, "call"))}',
  ...[
    'print',
    'os',
    'io',
    'require',
    'debug',
    'getfenv',
    'setfenv',
    'newproxy',
    'loadfile',
    'dofile',
    'module',
    'package',
  ].map((name) => `return ${name}`),
  ...[
    'redis.call = 1',
    'redis = 1',
    '_G = 1',
    'setmetatable(_G, {})',
    'getmetatable(_G).__index = 1',
    'rawset(_G, "x", 1)',
    'rawset(string, "x", 1)',
    'table.insert(_G, 1)',
    'cjson.x = 1',
    'string.x = 1',
    'function math.x() end',
  ],
  'KEYS[1] = "changed" ARGV.x = 1 return {KEYS[1], ARGV[1], #KEYS, #ARGV}',
  'KEYS = {}',
  'return {collectgarbage("count") > 0, collectgarbage("step") ~= nil, collectgarbage("stop"), collectgarbage("restart")}',
  'return {pcall(collectgarbage, "nope")}',
  'return {pcall(string.dump, 1)}',
  'return {pcall(coroutine.wrap(function() redis.call("INCR", "text") end))}',
  'local c = coroutine.create(function() redis.call("SET", "a", 1) coroutine.yield(1) return 2 end) return {coroutine.resume(c)}',
]

async function prepared(redis: RawClient): Promise<void> {
  await redis.call('FLUSHALL')
  await redis.call('SET', 'text', 'x')
  await redis.call('HSET', 'h', 'f', 'v')
  await redis.call('SADD', 's1', 'm')
}

async function both(): Promise<[real: RawClient, ours: RawClient]> {
  const { client } = await served()
  return [await realRedis(), await client()]
}

describe('scripts', () => {
  test.for([
    ['conversions', conversions],
    ['errors', errors],
    ['libraries', libraries],
  ] as const)(
    '%s are as in Redis, in both versions of the protocol',
    { timeout: 120_000 },
    async ([, scripts], context) => {
      const reason = toolUnavailable('redis-server')
      context.skip(reason !== undefined, reason)
      const [real, ours] = await both()
      for (const version of [2, 3]) {
        for (const redis of [real, ours]) {
          await redis.call('HELLO', version)
          await prepared(redis)
        }
        const found: [string, Reply][] = []
        const expected: [string, Reply][] = []
        for (const script of scripts) {
          expected.push([script, await real.call('EVAL', script, 2, 'key', 'key 2', 'arg')])
          found.push([script, await ours.call('EVAL', script, 2, 'key', 'key 2', 'arg')])
        }
        expect(found).toEqual(expected)
      }
    },
  )
})

describe('random scripts', () => {
  const key = fc.constantFrom("'a'", "'b'", 'KEYS[1]', 'KEYS[2]', "'c' .. #ARGV")
  const value = fc.oneof(
    fc.constantFrom('1', "'x'", 'ARGV[1]', '0.1', '-7', "''", '2^40', "'\\0\\255'"),
    fc.integer({ min: -1000, max: 1000 }).map(String),
  )
  const command = fc.oneof(
    fc.tuple(
      fc.constantFrom(
        "'GET'",
        "'INCR'",
        "'DEL'",
        "'STRLEN'",
        "'TYPE'",
        "'HLEN'",
        "'EXISTS'",
        "'PERSIST'",
      ),
      key,
    ),
    fc.tuple(
      fc.constantFrom("'SET'", "'APPEND'", "'INCRBY'", "'SETNX'", "'GETSET'", "'SISMEMBER'"),
      key,
      value,
    ),
    fc.tuple(
      fc.constantFrom("'HSET'", "'HINCRBY'", "'HSETNX'"),
      key,
      fc.constantFrom("'f'", "'g'"),
      value,
    ),
    fc.tuple(fc.constantFrom("'HGET'", "'HDEL'"), key, fc.constantFrom("'f'", "'g'")),
    fc.tuple(fc.constantFrom("'SADD'", "'SREM'"), key, value),
    fc.tuple(fc.constant("'MGET'"), key, key),
    fc.tuple(fc.constant("'RENAME'"), key, key),
    fc.tuple(fc.constantFrom("'RPUSH'", "'LPUSH'"), key, value),
    fc.tuple(fc.constantFrom("'LPOP'", "'RPOP'", "'LLEN'"), key),
    fc.tuple(fc.constant("'EXPIRE'"), key, fc.constantFrom('1000', '-1', "'x'")),
    fc.tuple(fc.constantFrom("'NOPE'", "'GET'"), value),
  )
  const statement = fc
    .tuple(command, fc.constantFrom('call', 'pcall', 'pcall', 'pcall'))
    .map(([words, how]) => `r[#r + 1] = redis.${how}(${words.join(', ')})`)
  const script = fc
    .array(statement, { minLength: 1, maxLength: 12 })
    .map((statements) => `local r = {}\n${statements.join('\n')}\nreturn r`)

  test('do the same, and leave the same behind', { timeout: 120_000 }, async (context) => {
    const reason = toolUnavailable('redis-server')
    context.skip(reason !== undefined, reason)
    const [real, ours] = await both()
    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 4 }), async (scripts) => {
        const seen: Reply[][] = []
        for (const redis of [real, ours]) {
          await redis.call('FLUSHALL')
          const replies: Reply[] = []
          for (const text of scripts) replies.push(await redis.call('EVAL', text, 2, 'a', 'd', '5'))
          for (const name of ['a', 'b', 'c1', 'd']) {
            replies.push(await redis.call('TYPE', name), await redis.call('GET', name))
            replies.push(
              await redis.call('LRANGE', name, 0, -1),
              await redis.call('HGET', name, 'f'),
            )
            replies.push(
              await redis.call('SCARD', name),
              await redis.call('EXPIRETIME', name).then((at) => at === -1),
            )
          }
          seen.push(replies)
        }
        expect(seen[1]).toEqual(seen[0])
      }),
      {
        numRuns: Number(process.env.DAYBOOK_DIFFERENTIAL_RUNS ?? 150),
        seed: 20261126,
        endOnFailure: false,
      },
    )
  })

  test('pack and encode any value as Redis does', { timeout: 120_000 }, async (context) => {
    const reason = toolUnavailable('redis-server')
    context.skip(reason !== undefined, reason)
    const [real, ours] = await both()
    const scalar = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => `(${number})`),
      fc.integer().map((number) => `(${number})`),
      fc.constantFrom('true', 'false', '2^33', '-2^33', '0.5'),
      fc.string({ unit: 'binary', maxLength: 40 }).map(luaString),
    )
    const { tree } = fc.letrec<{ tree: string }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        scalar,
        fc.array(tie('tree'), { maxLength: 6 }).map((items) => `{${items.join(', ')}}`),
        // One field: the order of more is nobody's promise.
        fc
          .tuple(scalar, tie('tree'))
          .map(([name, item]) => `{[${name.startsWith('"') ? name : '"n"'}] = ${item}}`),
      ),
    }))
    await fc.assert(
      fc.asyncProperty(fc.array(tree, { minLength: 1, maxLength: 3 }), async (values) => {
        const text = `local v = {${values.join(', ')}}
          local j = cjson.encode(v)
          return {j, cjson.encode(cjson.decode(j)), cmsgpack.pack(v), cmsgpack.pack(cmsgpack.unpack(cmsgpack.pack(v)))}`
        expect(await ours.call('EVAL', text, 0)).toEqual(await real.call('EVAL', text, 0))
      }),
      {
        numRuns: Number(process.env.DAYBOOK_DIFFERENTIAL_RUNS ?? 300),
        seed: 20261126,
        endOnFailure: false,
      },
    )
  })
})

function luaString(text: string): string {
  const escaped = [...Buffer.from(text)].map((byte) => `\\${String(byte).padStart(3, '0')}`)
  return `"${escaped.join('')}"`
}
