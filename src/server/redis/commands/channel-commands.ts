/** Publish and subscribe. */

import { maxSubscriptions, type SubscriptionKind } from '../channels.ts'
import { argumentOf, type Call, inGroup } from '../command.ts'
import { RedisError, wrongArity, wrongSubcommand } from '../redis-error.ts'
import { bulk, bulks, integer } from '../reply.ts'

const words = { channels: 'subscribe', patterns: 'psubscribe', shards: 'ssubscribe' } as const
const unwords = {
  channels: 'unsubscribe',
  patterns: 'punsubscribe',
  shards: 'sunsubscribe',
} as const

function subscribe(kind: SubscriptionKind): (call: Call) => string {
  const word = words[kind]
  return (call) => {
    const { session, server } = call
    if (session.transaction !== undefined && session.protocol.version === 2) {
      throw new RedisError(`ERR ${word.toUpperCase()} isn't allowed in MULTI`)
    }
    let reply = ''
    for (const name of call.args.slice(1)) {
      if (session.subscriptions >= maxSubscriptions) {
        throw new RedisError(`ERR a connection has at most ${maxSubscriptions} subscriptions`)
      }
      server.channels.subscribe(session, kind, name)
      reply += notice(call, kind, word, bulk(name))
    }
    return reply
  }
}

function unsubscribe(kind: SubscriptionKind): (call: Call) => string {
  const word = unwords[kind]
  return (call) => {
    const { session, server } = call
    const names = call.args.length > 1 ? call.args.slice(1) : [...session[kind]]
    if (names.length === 0) return notice(call, kind, word, call.protocol.nil)
    let reply = ''
    for (const name of names) {
      server.channels.unsubscribe(session, kind, name)
      reply += notice(call, kind, word, bulk(name))
    }
    return reply
  }
}

/** Shard channels are counted by themselves. */
function notice(
  { protocol, session }: Call,
  kind: SubscriptionKind,
  word: string,
  name: string,
): string {
  const { channels, patterns, shards } = session
  const count = kind === 'shards' ? shards.size : channels.size + patterns.size
  return `${protocol.push(3)}${bulk(word)}${name}${integer(count)}`
}

function pubsub(call: Call): string {
  const { server } = call
  const what = argumentOf(call, 1).toLowerCase()
  if (what === 'channels' && call.args.length <= 3) {
    return bulks(server.channels.channels(call.args.length === 3 ? argumentOf(call, 2) : '*'))
  }
  if (what === 'shardchannels' && call.args.length <= 3) {
    const pattern = call.args.length === 3 ? argumentOf(call, 2) : '*'
    return bulks(server.channels.channels(pattern, 'shards'))
  }
  if (what === 'numsub' || what === 'shardnumsub') {
    const kind = what === 'numsub' ? 'channels' : 'shards'
    const counts = call.args
      .slice(2)
      .map((name) => bulk(name) + integer(server.channels.subscribers(name, kind)))
    return `*${2 * counts.length}\r\n${counts.join('')}`
  }
  if (what === 'numpat' && call.args.length === 2) return integer(server.channels.patternCount)
  if (what === 'numpat') throw wrongArity('pubsub|numpat')
  if (what === 'channels' || what === 'shardchannels') {
    throw wrongSubcommand(argumentOf(call, 1), 'PUBSUB')
  }
  throw new RedisError(`ERR unknown subcommand '${argumentOf(call, 1)}'. Try PUBSUB HELP.`)
}

export const channelCommands = inGroup('pubsub', [
  { name: 'subscribe', arity: -2, flags: ['pubsub', 'noscript'], run: subscribe('channels') },
  { name: 'psubscribe', arity: -2, flags: ['pubsub', 'noscript'], run: subscribe('patterns') },
  { name: 'unsubscribe', arity: -1, flags: ['pubsub', 'noscript'], run: unsubscribe('channels') },
  { name: 'punsubscribe', arity: -1, flags: ['pubsub', 'noscript'], run: unsubscribe('patterns') },
  {
    name: 'publish',
    arity: 3,
    flags: ['pubsub', 'fast'],
    run: (call) => integer(call.server.channels.publish(argumentOf(call, 1), argumentOf(call, 2))),
  },
  { name: 'ssubscribe', arity: -2, flags: ['pubsub', 'noscript'], run: subscribe('shards') },
  { name: 'sunsubscribe', arity: -1, flags: ['pubsub', 'noscript'], run: unsubscribe('shards') },
  {
    name: 'spublish',
    arity: 3,
    flags: ['pubsub', 'fast'],
    run: (call) =>
      integer(call.server.channels.publishToShard(argumentOf(call, 1), argumentOf(call, 2))),
  },
  { name: 'pubsub', arity: -2, flags: ['pubsub'], run: pubsub },
])
