/** Commands of the connection itself. */

import { createHash, timingSafeEqual } from 'node:crypto'
import { argumentOf, type Call, inGroup, subcommandsOf } from '../command.ts'
import { databaseCount } from '../databases.ts'
import { safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError, syntaxError, wrongArity } from '../redis-error.ts'
import { bulk, bulks, emptyArray, integer, ok, one, resp2, resp3, simple, zero } from '../reply.ts'
import { clientLine } from './client-line.ts'
import { serverVersion } from './server-version.ts'
import { latin1Of } from '../latin1.ts'

function ping(call: Call): string {
  if (call.args.length > 2) throw wrongArity('ping')
  const { session } = call
  if (session.subscriptions > 0 && session.protocol.version === 2) {
    return bulks(['pong', argumentOf(call, 1)])
  }
  return call.args.length === 1 ? '+PONG\r\n' : bulk(argumentOf(call, 1))
}

/** In a time that does not tell how much of it is right. */
function isPassword(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text, 'latin1').digest()
  return timingSafeEqual(digest(given), digest(latin1Of(Buffer.from(expected))))
}

/** Guessing is slowed down by this much for each try. */
const refusalDelayMs = 100

async function authenticate(call: Call, user: string, password: string): Promise<void> {
  const expected = call.server.config.password
  if (user === 'default' && (expected === undefined || isPassword(password, expected))) {
    call.session.authenticated = true
    return
  }
  await new Promise<void>((resolve) => {
    call.server.clock.setTimer(refusalDelayMs, resolve)
  })
  throw new RedisError('WRONGPASS invalid username-password pair or user is disabled.')
}

async function auth(call: Call): Promise<string> {
  if (call.args.length > 3) throw syntaxError()
  const named = call.args.length === 3
  if (!named && call.server.config.password === undefined) {
    throw new RedisError(
      'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
    )
  }
  await authenticate(call, named ? argumentOf(call, 1) : 'default', argumentOf(call, named ? 2 : 1))
  return ok
}

async function hello(call: Call): Promise<string> {
  const { session, args } = call
  let version: number | undefined
  let credentials: readonly [string, string] | undefined
  let name: string | undefined
  if (args.length > 1) {
    version = safeIntegerOf(argumentOf(call, 1))
    if (version === undefined) {
      throw new RedisError('ERR Protocol version is not an integer or out of range')
    }
    if (version !== 2 && version !== 3) throw new RedisError('NOPROTO unsupported protocol version')
  }
  for (let at = 2; at < args.length; at++) {
    const option = argumentOf(call, at).toLowerCase()
    if (option === 'auth' && at + 2 < args.length) {
      credentials = [argumentOf(call, at + 1), argumentOf(call, at + 2)]
      at += 2
    } else if (option === 'setname' && at + 1 < args.length) {
      name = checkedName(argumentOf(call, ++at))
    } else {
      throw new RedisError(`ERR Syntax error in HELLO option '${argumentOf(call, at)}'`)
    }
  }
  if (credentials !== undefined) await authenticate(call, credentials[0], credentials[1])
  if (!session.authenticated) {
    throw new RedisError(
      'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
    )
  }
  if (name !== undefined) session.name = name
  if (version !== undefined) session.protocol = version === 3 ? resp3 : resp2
  const { protocol } = session
  return (
    protocol.map(7) +
    bulk('server') +
    bulk('redis') +
    bulk('version') +
    bulk(serverVersion) +
    bulk('proto') +
    integer(protocol.version) +
    bulk('id') +
    integer(session.id) +
    bulk('mode') +
    bulk('standalone') +
    bulk('role') +
    bulk('master') +
    bulk('modules') +
    emptyArray
  )
}

/** A name is one word of visible ASCII. */
function checkedName(name: string): string {
  if (/^[!-~]*$/.test(name)) return name
  throw new RedisError('ERR Client names cannot contain spaces, newlines or special characters.')
}

async function select(call: Call): Promise<string> {
  const index = safeIntegerOf(argumentOf(call, 1))
  if (index === undefined) throw new RedisError('ERR value is not an integer or out of range')
  if (index < 0 || index >= databaseCount) throw new RedisError('ERR DB index is out of range')
  await call.server.databases.ready(index)
  call.session.database = index
  return ok
}

function quit(call: Call): string {
  call.session.closing = true
  return ok
}

function reset(call: Call): string {
  call.server.channels.leave(call.session)
  call.server.monitors.leave(call.session)
  call.session.reset(call.server.config.password === undefined)
  return simple('RESET')
}

/** CLIENT UNBLOCK id [TIMEOUT|ERROR] */
function clientUnblock(call: Call): string {
  const how = call.args.length > 3 ? argumentOf(call, 3).toLowerCase() : 'timeout'
  if (call.args.length > 4) throw wrongArity('client|unblock')
  if (how !== 'timeout' && how !== 'error') {
    throw new RedisError('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR')
  }
  const id = safeIntegerOf(argumentOf(call, 2))
  if (id === undefined) throw notAnInteger()
  const unblock = call.server.connections.get(id)?.session.unblock
  unblock?.(how)
  return unblock === undefined ? zero : one
}

const aclCommands = subcommandsOf('connection', 'acl', [
  { name: 'whoami', arity: 2, flags: ['fast'], run: () => bulk('default') },
  { name: 'users', arity: 2, flags: ['admin'], run: () => bulks(['default']) },
  {
    name: 'list',
    arity: 2,
    flags: ['admin'],
    run: () => bulks(['user default on nopass ~* &* +@all']),
  },
])

const clientCommands = subcommandsOf('connection', 'client', [
  { name: 'id', arity: 2, flags: ['fast'], run: (call) => integer(call.session.id) },
  {
    name: 'getname',
    arity: 2,
    flags: ['fast'],
    run: (call) => (call.session.name === '' ? call.protocol.nil : bulk(call.session.name)),
  },
  {
    name: 'setname',
    arity: 3,
    flags: ['fast'],
    run: (call) => {
      call.session.name = checkedName(argumentOf(call, 2))
      return ok
    },
  },
  { name: 'setinfo', arity: 4, flags: ['fast'], run: setInfo },
  { name: 'info', arity: 2, flags: [], run: (call) => bulk(`${lineOf(call, call.session.id)}\n`) },
  { name: 'list', arity: -2, flags: ['admin'], run: clientList },
  { name: 'kill', arity: -3, flags: ['admin'], run: clientKill },
  { name: 'no-evict', arity: 3, flags: ['admin'], run: onOff('noEvict') },
  { name: 'no-touch', arity: 3, flags: [], run: onOff('noTouch') },
  { name: 'reply', arity: 3, flags: [], run: clientReply },
  { name: 'unpause', arity: 2, flags: ['admin'], run: () => ok },
  { name: 'unblock', arity: -3, flags: ['admin'], run: clientUnblock },
  { name: 'getredir', arity: 2, flags: [], run: () => integer(-1) },
  {
    name: 'help',
    arity: 2,
    flags: [],
    run: () =>
      bulks([
        'CLIENT <subcommand> [<arg> ...]. Subcommands are:',
        'GETNAME, ID, INFO, KILL, LIST, NO-EVICT, NO-TOUCH, REPLY, SETINFO, SETNAME, UNBLOCK.',
      ]),
  },
])

function setInfo(call: Call): string {
  const what = argumentOf(call, 2).toLowerCase()
  const value = argumentOf(call, 3)
  if (what !== 'lib-name' && what !== 'lib-ver') {
    throw new RedisError(`ERR Unrecognized option '${argumentOf(call, 2)}'`)
  }
  if (!/^[!-~]*$/.test(value)) {
    throw new RedisError(`ERR ${what} cannot contain spaces, newlines or special characters.`)
  }
  if (what === 'lib-name') call.session.libraryName = value
  else call.session.libraryVersion = value
  return ok
}

function lineOf(call: Call, id: number): string {
  const connection = call.server.connections.get(id)
  return connection === undefined ? '' : clientLine(connection, call.server.clock.now())
}

function clientList(call: Call): string {
  const option = argumentOf(call, 2).toLowerCase()
  const ids = [...call.server.connections.keys()]
  const lines = (wanted: readonly number[]): string =>
    bulk(
      wanted
        .map((id) => lineOf(call, id))
        .filter((line) => line !== '')
        .map((line) => `${line}\n`)
        .join(''),
    )
  if (call.args.length === 2) return lines(ids)
  if (option === 'id' && call.args.length > 3) {
    return lines(
      call.args.slice(3).map((text) => {
        const id = safeIntegerOf(text)
        if (id === undefined || id < 1) throw new RedisError('ERR Invalid client ID')
        return id
      }),
    )
  }
  if (option === 'type' && call.args.length === 4) {
    const type = checkedType(argumentOf(call, 3))
    return lines(ids.filter((id) => typeOf(call, id) === type))
  }
  throw syntaxError()
}

function checkedType(text: string): string {
  const type = text.toLowerCase()
  if (['normal', 'master', 'replica', 'slave', 'pubsub'].includes(type)) return type
  throw new RedisError(`ERR Unknown client type '${text}'`)
}

function typeOf(call: Call, id: number): string {
  return (call.server.connections.get(id)?.session.subscriptions ?? 0) > 0 ? 'pubsub' : 'normal'
}

function clientKill(call: Call): string {
  const { server, session, args } = call
  if (args.length === 3) {
    const address = argumentOf(call, 2)
    const found = [...server.connections.values()].find(
      (other) => other.session.address === address,
    )
    if (found === undefined) throw new RedisError('ERR No such client')
    end(call, found.session.id)
    return ok
  }
  if (args.length % 2 !== 0) throw syntaxError()
  let skipsMe = true
  const filters: ((id: number) => boolean)[] = []
  for (let at = 2; at < args.length; at += 2) {
    const option = argumentOf(call, at).toLowerCase()
    const value = argumentOf(call, at + 1)
    if (option === 'id') {
      const id = safeIntegerOf(value)
      if (id === undefined || id < 1) throw new RedisError('ERR client-id should be greater than 0')
      filters.push((other) => other === id)
    } else if (option === 'addr') {
      filters.push((other) => server.connections.get(other)?.session.address === value)
    } else if (option === 'laddr') {
      filters.push((other) => server.connections.get(other)?.session.localAddress === value)
    } else if (option === 'type') {
      const type = checkedType(value)
      filters.push((other) => typeOf(call, other) === type)
    } else if (option === 'user') {
      if (value !== 'default') throw new RedisError(`ERR No such user '${value}'`)
    } else if (option === 'skipme' && /^(yes|no)$/i.test(value)) skipsMe = /^yes$/i.test(value)
    else throw syntaxError()
  }
  const ids = [...server.connections.keys()].filter(
    (id) => !(skipsMe && id === session.id) && filters.every((matches) => matches(id)),
  )
  for (const id of ids) end(call, id)
  return integer(ids.length)
}

/** Its own connection ends after the reply. */
function end(call: Call, id: number): void {
  if (id === call.session.id) call.session.closing = true
  else call.server.connections.get(id)?.destroy()
}

function clientReply(call: Call): string {
  const mode = argumentOf(call, 2).toLowerCase()
  if (mode !== 'on' && mode !== 'off' && mode !== 'skip') throw syntaxError()
  if (mode === 'skip') call.session.replies = call.session.replies === 'off' ? 'off' : 'skip next'
  else call.session.replies = mode
  return ok
}

function onOff(what: 'noEvict' | 'noTouch'): (call: Call) => string {
  return (call) => {
    const value = argumentOf(call, 2).toLowerCase()
    if (value !== 'on' && value !== 'off') throw syntaxError()
    call.session[what] = value === 'on'
    return ok
  }
}

/** SELECT waits for its database, AUTH and HELLO for the time that a wrong password costs. */
export const connectionCommands = inGroup('connection', [
  { name: 'ping', arity: -1, flags: ['fast'], run: ping },
  { name: 'echo', arity: 2, flags: ['fast'], run: (call) => bulk(argumentOf(call, 1)) },
  { name: 'auth', arity: -2, flags: ['noscript', 'fast', 'no_auth', 'no_multi'], wait: auth },
  { name: 'hello', arity: -1, flags: ['noscript', 'fast', 'no_auth'], wait: hello },
  { name: 'select', arity: 2, flags: ['fast'], wait: select },
  { name: 'quit', arity: -1, flags: ['noscript', 'fast', 'no_auth', 'no_multi'], run: quit },
  { name: 'reset', arity: 1, flags: ['noscript', 'fast', 'no_auth', 'no_multi'], run: reset },
  { name: 'client', arity: -2, flags: [], subcommands: clientCommands, run: () => ok },
  { name: 'acl', arity: -2, flags: [], subcommands: aclCommands, run: () => ok },
])
