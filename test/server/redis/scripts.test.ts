/** EVAL and its relatives on a server: what a script sees, that it is one step, and the bounds that it has. */

import { expect, describe, test } from 'vitest'
import { Failure, served, type RawClient, type Reply } from './redis-fixture.ts'

const noScript = 'NOSCRIPT No matching script. Please use EVAL.'

async function redisOf(options: Parameters<typeof served>[0] = {}): Promise<RawClient> {
  return (await served(options)).client()
}

describe('EVAL', () => {
  test('gives what the script returns, with its keys and arguments', async () => {
    const redis = await redisOf()
    const script =
      "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1]), redis.call('GET', 'none'), {ok = 'fine'}}"
    expect(await redis.call('EVAL', script, 1, 'n', '\u00ff\u0000')).toEqual([
      'n',
      '\u00ff\u0000',
      1,
      null,
      'fine',
    ])
  })

  test('refuses what Redis refuses, in its words', async () => {
    const redis = await redisOf()
    const refusals: [readonly (string | number)[], string][] = [
      [['EVAL', 'return 1', 'x'], 'ERR value is not an integer or out of range'],
      [['EVAL', 'return 1', 1], "ERR Number of keys can't be greater than number of args"],
      [['EVAL', 'return 1', -1], "ERR Number of keys can't be negative"],
      [['EVAL', 'return 1'], "ERR wrong number of arguments for 'eval' command"],
      [['EVALSHA', 'ab', 0], noScript],
      [['EVAL', '#!lua', 0], 'ERR Invalid script shebang'],
      [['EVAL', '#!js\nreturn 1', 0], 'ERR Unexpected engine in script shebang: #!js'],
      [['EVAL', '#!lua flags=fast\n', 0], 'ERR Unexpected flag in script shebang: fast'],
      [['EVAL', '#!lua name=x\n', 0], 'ERR Unknown lua shebang option: name=x'],
      [
        ['EVAL', 'return (', 0],
        "ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'",
      ],
      [
        ['EVAL', '\u001bLua', 0],
        "ERR Error compiling script (new function): user_script:1: unexpected symbol near 'char(27)'",
      ],
      [['SCRIPT', 'KILL'], 'NOTBUSY No scripts in execution right now.'],
      [['SCRIPT', 'FLUSH', 'now'], 'ERR SCRIPT FLUSH only support SYNC|ASYNC option'],
      [['SCRIPT', 'DEBUG', 'maybe'], 'ERR Use SCRIPT DEBUG YES/SYNC/NO'],
    ]
    for (const [words, message] of refusals) {
      expect([words, await redis.failure(...words)]).toEqual([words, message])
    }
    expect(await redis.call('SCRIPT', 'DEBUG', 'NO')).toBe('OK')
    expect(await redis.failure('SCRIPT', 'DEBUG', 'YES')).toContain('no debugger')
    expect(await redis.failure('FUNCTION', 'LOAD', '#!lua name=x\n')).toContain(
      'use scripts instead',
    )
    expect(await redis.failure('FCALL', 'x', 0)).toBe('ERR Function not found')
  })

  test('refuses the commands that are no part of a step', async () => {
    const redis = await redisOf()
    const failureOf = async (command: string): Promise<string> =>
      redis.failure('EVAL', `return redis.call(${command})`, 0)
    for (const command of [
      "'KEYS', '*'",
      "'SCAN', 0",
      "'DBSIZE'",
      "'FLUSHALL'",
      "'COPY', 'a', 'b', 'DB', 1",
    ]) {
      expect(await failureOf(command)).toMatch(/^ERR .*not allowed from script/)
    }
    for (const command of [
      "'MULTI'",
      "'SUBSCRIBE', 'c'",
      "'BLPOP', 'l', 0",
      "'CLIENT', 'ID'",
      "'EVAL', '', 0",
      "'DAYBOOK', 'LAG'",
      "'CONFIG', 'GET', '*'",
      "'QUIT'",
    ]) {
      expect(await failureOf(command)).toMatch(
        /^ERR This Redis command is not allowed from script script: /,
      )
    }
    expect(await failureOf("'NOPE'")).toContain('Unknown Redis command called from script')
    expect(await failureOf("'pfcount', 'x'")).toMatch(
      /^ERR Unknown Redis command called from script: PFCOUNT \(Daybook has no HyperLogLog\) script: /,
    )
    expect(await failureOf("'POST'")).toContain('Unknown Redis command called from script')
    expect(await failureOf("'GET'")).toContain(
      'Wrong number of args calling Redis command from script',
    )
    expect(await redis.call('PING')).toBe('PONG')
  })

  test('keeps what was written before an error, and takes back what a failed command wrote', async () => {
    const redis = await redisOf()
    const script = `redis.call('SET', 'before', 1)
      local result = redis.pcall('INCR', 'text')
      redis.call('SET', 'kept', result.err)
      return redis.call('HSET', 'text', 'f', 1)`
    await redis.call('SET', 'text', 'x')
    expect(await redis.failure('EVAL', script, 0)).toMatch(
      /^WRONGTYPE .* script: [0-9a-f]{40}, on @user_script:4\.$/,
    )
    expect(await redis.call('MGET', 'before', 'kept', 'text')).toEqual([
      '1',
      'ERR value is not an integer or out of range',
      'x',
    ])
  })

  test('is counted with its errors', async () => {
    const redis = await redisOf()
    await redis.call('EVAL', "redis.pcall('INCR', 'a') redis.pcall('NOPE')", 0)
    await redis.call('EVAL', "return redis.error_reply('MINE it is')", 0)
    const info = textOf(await redis.call('INFO', 'everything'))
    expect(info).toContain('cmdstat_incr:calls=1,')
    expect(info).toMatch(/cmdstat_eval:calls=2,.*failed_calls=1/)
    expect(info).toContain('errorstat_MINE:count=1')
    expect(info).toContain('errorstat_ERR:count=1')
    expect(info).toContain('number_of_cached_scripts:2')
  })

  test('answers in both versions of the protocol', async () => {
    const redis = await redisOf()
    const script = `redis.setresp(3)
      redis.call('HSET', 'h', 'f', 'v') redis.call('SADD', 's', 'm')
      return {redis.call('HGETALL', 'h'), redis.call('SMEMBERS', 's'), redis.call('GET', 'none') == nil, {double = 1.5}, true, {big_number = '123'}, {verbatim_string = {format = 'txt', string = 'so'}}}`
    expect(await redis.call('EVAL', script, 0)).toEqual([
      ['f', 'v'],
      ['m'],
      1,
      '1.5',
      1,
      '123',
      'so',
    ])
    redis.write('HELLO 3\r\n')
    await redis.reply()
    redis.send('EVAL', script, 0)
    const raw = await rawReply(redis)
    expect(raw).toBe(
      '*7\r\n%1\r\n$1\r\nf\r\n$1\r\nv\r\n~1\r\n$1\r\nm\r\n#t\r\n,1.5\r\n#t\r\n(123\r\n=6\r\ntxt:so\r\n',
    )
  })

  test('SELECT is for the rest of the script', async () => {
    const redis = await redisOf()
    await redis.call('SELECT', 3)
    await redis.call('SELECT', 0)
    const script =
      "redis.call('SET', KEYS[1], 0) redis.call('SELECT', 3) redis.call('SET', KEYS[1], 3)"
    await redis.call('EVAL', script, 1, 'a')
    expect(await redis.call('GET', 'a')).toBe('0')
    await redis.call('SELECT', 3)
    expect(await redis.call('GET', 'a')).toBe('3')
    expect(await redis.failure('EVAL', "redis.call('SELECT', 16)", 0)).toMatch(
      /^ERR DB index is out of range/,
    )
    expect(await redis.failure('EVAL', "redis.call('SELECT', 9)", 0)).toMatch(
      /database 9 has not been used yet/,
    )
    expect(await redis.failure('EVAL', "redis.call('SELECT', 'x')", 0)).toMatch(
      /^ERR value is not an integer/,
    )
  })

  test('what it publishes goes out at its end, once', async () => {
    const { client } = await served()
    const [redis, listener] = [await client(), await client()]
    await listener.call('SUBSCRIBE', 'news')
    await listener.call('PSUBSCRIBE', 'n*')
    const script =
      "local got = redis.call('PUBLISH', 'news', redis.call('GET', 'cold') or 'nothing') return got"
    expect(await redis.call('EVAL', script, 0)).toBe(2)
    expect([await listener.reply(), await listener.reply()]).toEqual([
      ['message', 'news', 'nothing'],
      ['pmessage', 'n*', 'news', 'nothing'],
    ])
    await redis.failure('EVAL', "redis.call('PUBLISH', 'news', 'lost') error('x')", 0)
    await redis.failure('EVAL_RO', "redis.call('PUBLISH', 'news', 'refused')", 0)
    expect(await listener.reply()).toEqual(['message', 'news', 'lost'])
    expect(await listener.reply()).toEqual(['pmessage', 'n*', 'news', 'lost'])
    await listener.call('SSUBSCRIBE', 'news')
    expect(await redis.call('EVAL', "return redis.call('SPUBLISH', 'news', 'shard')", 0)).toBe(1)
    expect(await listener.reply()).toEqual(['smessage', 'news', 'shard'])
  })

  test('the library redis checks what it is given', async () => {
    const redis = await redisOf()
    const failures: [string, RegExp][] = [
      ['redis.call()', /^ERR Please specify at least one argument/],
      ['redis.call({})', /^ERR Lua redis lib command arguments must be strings or integers/],
      ['redis.sha1hex()', /^ERR wrong number of arguments/],
      ['redis.log(1)', /^ERR redis\.log\(\) requires two arguments or more/],
      ['redis.log("x", "y")', /^ERR First argument must be a number/],
      ['redis.log(9, "y")', /^ERR Invalid debug level/],
      ['redis.setresp()', /^ERR redis\.setresp\(\) requires one argument/],
      ['redis.setresp(4)', /^ERR RESP version must be 2 or 3/],
      ['redis.set_repl()', /^ERR redis\.set_repl\(\) requires two arguments/],
      ['redis.set_repl(8)', /^ERR Invalid replication flags/],
      ['redis.acl_check_cmd("nope")', /^ERR Invalid command passed/],
      ['redis.acl_check_cmd()', /^ERR Please specify/],
      ['return redis.error_reply()', /^ERR wrong number or type of arguments/],
      ['return redis.error_reply("no code")', /^no code$/],
      ['return redis.error_reply("-CODE two\\r\\nlines\\r\\n")', /^CODE two {2}lines$/],
      ['error({})', /script: [0-9a-f]{40}, on @user_script:1\.$/],
      ['error(setmetatable({}, {__tostring = error}))', /^ERR|^ script/],
    ]
    for (const [script, message] of failures) {
      expect(await redis.failure('EVAL', script, 0)).toMatch(message)
    }
    const fine = `redis.log(redis.LOG_WARNING, 'x') redis.set_repl(redis.REPL_ALL) redis.breakpoint() redis.debug('x')
      return {redis.sha1hex('a'), redis.status_reply('so'), redis.replicate_commands(), redis.acl_check_cmd('get', 'a'),
        redis.REDIS_VERSION, redis.REDIS_VERSION_NUM}`
    expect(await redis.call('EVAL', fine, 0)).toEqual([
      '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8',
      'so',
      1,
      1,
      '7.2.0',
      0x070200,
    ])
  })

  test('numbers among the arguments are as exact as they are', async () => {
    const redis = await redisOf()
    const script =
      "redis.call('RPUSH', 'l', 0.1, 3, 1e17, 9007199254740993, -0.5) return redis.call('LRANGE', 'l', 0, -1)"
    expect(await redis.call('EVAL', script, 0)).toEqual([
      '0.10000000000000001',
      '3',
      '1e+17',
      '9007199254740992',
      '-0.5',
    ])
    const whole = 'return {1.9, -1.9, 2^53, 2^62, 2^63, -2^63, 0/0, 1/0}'
    redis.send('EVAL', whole, 0)
    expect(await rawReply(redis)).toBe(
      `*8\r\n:1\r\n:-1\r\n:9007199254740992\r\n:4611686018427387904\r\n${':-9223372036854775808\r\n'.repeat(4)}`,
    )
  })
})

describe('EVALSHA', () => {
  test('runs what was loaded, in either case, until it is flushed', async () => {
    const redis = await redisOf()
    const sha = textOf(await redis.call('SCRIPT', 'LOAD', 'return ARGV[1]'))
    expect(sha).toMatch(/^[0-9a-f]{40}$/)
    expect(await redis.call('EVALSHA', sha, 0, 'x')).toBe('x')
    expect(await redis.call('EVALSHA', sha.toUpperCase(), 0, 'y')).toBe('y')
    expect(await redis.call('SCRIPT', 'EXISTS', sha, sha.toUpperCase(), 'ab')).toEqual([1, 1, 0])
    expect(await redis.call('SCRIPT', 'FLUSH', 'ASYNC')).toBe('OK')
    expect(await redis.failure('EVALSHA', sha, 0)).toBe(noScript)
    expect(await redis.call('SCRIPT', 'EXISTS', sha)).toEqual([0])
  })

  test('the script that was not used for the longest time is forgotten', async () => {
    const redis = await redisOf()
    const first = textOf(await redis.call('SCRIPT', 'LOAD', 'return 1'))
    const second = textOf(await redis.call('SCRIPT', 'LOAD', 'return 2'))
    for (let n = 0; n < 999; n++) {
      redis.send('SCRIPT', 'LOAD', `return '${n}'`)
      redis.send('EVALSHA', first, 0)
    }
    for (let n = 0; n < 999; n++) {
      await redis.reply()
      expect(await redis.reply()).toBe(1)
    }
    expect(await redis.call('SCRIPT', 'EXISTS', first, second)).toEqual([1, 0])
    // As many bytes as there may be.
    const large = `return 'large' --${' '.repeat(7 * 1024 * 1024)}`
    for (const mark of ['a', 'b', 'c']) await redis.call('SCRIPT', 'LOAD', `${large}${mark}`)
    expect(await redis.call('SCRIPT', 'EXISTS', first)).toEqual([0])
    expect(textOf(await redis.call('INFO', 'memory'))).toContain('number_of_cached_scripts:2')
  })

  test('EVAL_RO and EVALSHA_RO write nothing', async () => {
    const redis = await redisOf()
    await redis.call('SET', 'a', 1)
    expect(await redis.call('EVAL_RO', "return redis.call('GET', KEYS[1])", 1, 'a')).toBe('1')
    const writes = "return redis.call('SET', KEYS[1], 2)"
    const refused = /^ERR Write commands are not allowed from read-only scripts\./
    expect(await redis.failure('EVAL_RO', writes, 1, 'a')).toMatch(refused)
    const sha = textOf(await redis.call('SCRIPT', 'LOAD', writes))
    expect(await redis.failure('EVALSHA_RO', sha, 1, 'a')).toMatch(refused)
    expect(await redis.failure('EVAL', `#!lua flags=no-writes\n${writes}`, 1, 'a')).toMatch(refused)
    expect(await redis.failure('EVAL_RO', `#!lua\n${writes}`, 1, 'a')).toBe(
      'ERR Can not execute a script with write flag using *_ro command.',
    )
    expect(await redis.call('EVAL', `#!lua flags=allow-oom\n${writes}`, 1, 'a')).toBe('OK')
    expect(await redis.failure('EVAL', '#!lua\n\nreturn nowhere', 0)).toContain('@user_script:3')
  })
})

describe('a script as a step', () => {
  const manyKeys = `local sum = 0
    for n = 1, tonumber(ARGV[1]) do sum = sum + tonumber(redis.call('GET', 'key:' .. n) or 1000) end
    redis.call('SET', 'sum', sum)
    return sum`

  test('finds the keys that it was not given, in memory or not', async () => {
    const first = await served()
    const redis = await first.client()
    for (let n = 1; n <= 50; n++) await redis.call('SET', `key:${n}`, n)
    expect(await redis.call('EVAL', manyKeys, 0, 60)).toBe((50 * 51) / 2 + 10_000)
    await first.stop()

    const again = await served({ directory: first.directory })
    const cold = await again.client()
    expect(await cold.call('EVAL', manyKeys, 0, 60)).toBe((50 * 51) / 2 + 10_000)
    expect(await cold.call('GET', 'sum')).toBe('11275')
  })

  test('needs no more than a thousand of them that are not in memory', async () => {
    const redis = await redisOf()
    expect(await redis.failure('EVAL', manyKeys, 0, 1200)).toMatch(
      /^ERR A step needs more than 1000 keys .*Give a script the keys that it uses as KEYS/,
    )
    expect(await redis.call('EXISTS', 'sum')).toBe(0)
    // They have been loaded meanwhile.
    expect(await redis.call('EVAL', manyKeys, 0, 1200)).toBe(1_200_000)
  }, 60_000)

  test('is atomic among many clients that count', async () => {
    const { client } = await served()
    const script = `local n = tonumber(redis.call('GET', 'n' .. ARGV[1]) or 0)
      redis.call('SET', 'n' .. ARGV[1], n + 1)
      redis.call('INCR', KEYS[1])
      return n`
    const clients = await Promise.all(Array.from({ length: 8 }, client))
    await Promise.all(
      clients.map(async (redis) => {
        for (let n = 0; n < 100; n++) redis.send('EVAL', script, 1, 'total', n % 10)
        for (let n = 0; n < 100; n++) expect(await redis.reply()).not.toBeInstanceOf(Failure)
      }),
    )
    const [redis] = clients
    expect(await redis?.call('MGET', 'total', 'n0', 'n9')).toEqual(['800', '80', '80'])
  })

  test('is a part of a transaction', async () => {
    const redis = await redisOf()
    await redis.call('MULTI')
    await redis.call('SET', 'a', 1)
    await redis.call('EVAL', "return redis.call('INCRBY', KEYS[1], redis.call('GET', 'a'))", 1, 'b')
    await redis.call('EVAL', "redis.call('INCR', 'b') error('no')", 0)
    await redis.call('EVALSHA', 'ab', 0)
    await redis.call('GET', 'b')
    const [set, counted, failed, unknown, got] = (await redis.call('EXEC')) as Reply[]
    expect([set, counted, got]).toEqual(['OK', 1, '2'])
    expect((failed as Failure).message).toMatch(/^ERR user_script:1: no script:/)
    expect((unknown as Failure).message).toBe(noScript)
  })

  test('reads and writes the rows of mapped tables', async () => {
    const { client, rows } = await served({
      schema: `CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '', visits INTEGER NOT NULL DEFAULT 0);
        INSERT INTO users VALUES (1, 'Ada', 3)`,
      caches: { users: { table: 'users', key: 'id' } },
    })
    const redis = await client()
    const script = `local visits = redis.call('HINCRBY', KEYS[1], 'visits', ARGV[1])
      redis.call('HSET', 'users:' .. visits, 'name', redis.call('HGET', KEYS[1], 'name') .. '!')
      redis.pcall('HSET', KEYS[1], 'nothing', 1)
      return {visits, redis.pcall('GET', 'users:x').err}`
    const [visits, refused] = (await redis.call('EVAL', script, 1, 'users:1', 4)) as Reply[]
    expect(visits).toBe(7)
    expect(textOf(refused)).toMatch(/^ERR /)
    await redis.call('WAIT', 1, 10_000)
    expect(rows('SELECT * FROM users ORDER BY id')).toEqual([
      { id: 1, name: 'Ada', visits: 7 },
      { id: 7, name: 'Ada!', visits: 0 },
    ])
  })

  test('uses a key that is over as one that is not there', async () => {
    const redis = await redisOf()
    await redis.call('SET', 'brief', 1, 'PX', 1)
    const script =
      "return {redis.call('EXISTS', KEYS[1]), redis.call('SET', KEYS[1], 2, 'PX', 100000, 'NX'), redis.call('PTTL', KEYS[1])}"
    await expect
      .poll(async () => JSON.stringify(await redis.call('EVAL', script, 1, 'brief')))
      .toMatch(/^\[0,"OK",(99\d\d\d|100000)\]$/)
  })
})

describe('a script that is stopped', () => {
  test('since it takes too long has written nothing, and the next one runs', async () => {
    const redis = await redisOf({ redis: { maxScriptMs: 50 } })
    const endless = "redis.call('SET', KEYS[1], 1) while true do redis.pcall('INCR', KEYS[1]) end"
    expect(await redis.failure('EVAL', endless, 1, 'a')).toBe(
      'ERR the script has run for 50 ms and was stopped; nothing of it is written. Make it shorter, or raise redis.maxScriptMs',
    )
    expect(
      await redis.failure('EVAL', "redis.call('SET', KEYS[1], 1) while true do end", 1, 'a'),
    ).toContain('was stopped')
    expect(
      await redis.failure(
        'EVAL',
        "pcall(function() while true do end end) redis.call('SET', 'a', 1)",
        0,
      ),
    ).toContain('was stopped')
    expect(await redis.call('EXISTS', 'a')).toBe(0)
    expect(await redis.call('EVAL', "return redis.call('SET', KEYS[1], 2)", 1, 'a')).toBe('OK')
    // Its text was compiled in a state that is no more.
    expect(await redis.failure('EVAL', endless, 1, 'a')).toContain('was stopped')
  })

  test('since it takes too much memory has written nothing', async () => {
    const redis = await redisOf({ redis: { maxScriptMs: 20_000 } })
    const greedy = "redis.call('SET', KEYS[1], 1) local s = 'x' while true do s = s .. s end"
    expect(await redis.failure('EVAL', greedy, 1, 'a')).toBe(
      'ERR the script needs more than 64 MiB of memory and was stopped; nothing of it is written',
    )
    expect(await redis.call('EXISTS', 'a')).toBe(0)
  })

  test('since what it writes is too much has written nothing', async () => {
    const redis = await redisOf({ redis: { maxRequestBytes: 100_000, maxBulkBytes: 50_000 } })
    const script =
      "for n = 1, tonumber(ARGV[1]) do redis.call('SET', 'k' .. n, ('x'):rep(1000)) end"
    expect(await redis.failure('EVAL', script, 0, 200)).toMatch(
      /^ERR the commands of the script take more than 100000 bytes; nothing of it is written/,
    )
    expect(await redis.call('EXISTS', 'k1')).toBe(0)
    expect(await redis.call('EVAL', script, 0, 50)).toBe(null)
    expect(await redis.failure('EVAL', "redis.call('SET', 'k', ('x'):rep(50001))", 0)).toMatch(
      /^ERR string exceeds maximum allowed size/,
    )
  })

  test('since its reply is too large has written nothing', async () => {
    const redis = await redisOf({ redis: { maxOutputBytes: 70_000 } })
    const script =
      "redis.call('SET', 'a', 1) local t = {('x'):rep(100)} for n = 1, 20 do t = {t, t} end return t"
    expect(await redis.failure('EVAL', script, 0)).toBe(
      'ERR the reply of the script has more than 70000 bytes',
    )
    expect(await redis.call('EXISTS', 'a')).toBe(0)
  })

  test('deep in itself ends as in Redis', async () => {
    const redis = await redisOf()
    redis.send('EVAL', 'local t = {} t[1] = t return t', 0)
    let raw = ''
    while (!raw.includes('ERR reached lua stack limit')) raw += await rawReply(redis)
    expect(await redis.call('PING')).toBe('PONG')
  })

  test('by the bound that was changed while the server runs', async () => {
    const { redis, client } = await served()
    const { readRedisOptions } = await import('../../../src/server/redis/options.ts')
    ;(await redis.prepare(readRedisOptions({ port: 0, maxScriptMs: 20 })))()
    const connection = await client()
    expect(await connection.failure('EVAL', 'while true do end', 0)).toContain('has run for 20 ms')
  })
})

describe('a script that finds out its keys while it runs', () => {
  test('is left in the middle as often as it takes', { timeout: 60_000 }, async () => {
    const redis = await redisOf()
    // Each of these keys is unknown when the script comes to it, in calls of C that have a buffer on their stack each.
    const script = `local function within(depth, name)
        if depth == 0 then return redis.call('exists', name) end
        local found
        string.gsub('x', 'x', function() found = within(depth - 1, name) end)
        return found
      end
      local sum = 0
      for n = 1, 100 do sum = sum + within(50, ARGV[1] .. ':' .. n) end
      return sum`
    for (let round = 0; round < 5; round++) {
      expect(await redis.call('EVAL', script, 0, `key${round}`)).toBe(0)
    }
  })
})

function textOf(reply: Reply | undefined): string {
  if (typeof reply === 'string') return reply
  throw new Error(`A text is expected, not ${JSON.stringify(reply)}.`)
}

/** What one reply is in bytes. Only for small ones, which come in one piece. */
async function rawReply(redis: RawClient): Promise<string> {
  let raw = ''
  const gather = (chunk: Buffer): void => {
    raw += chunk.toString('latin1')
  }
  redis.socket.on('data', gather)
  await redis.reply()
  redis.socket.off('data', gather)
  return raw
}
