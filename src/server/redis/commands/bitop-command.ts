/** BITOP: strings bit by bit. */

import { argumentOf, inGroup, lookUp, targetOf, type Call } from '../command.ts'
import { latin1Of } from '../latin1.ts'
import { RedisError, syntaxError } from '../redis-error.ts'
import { integer } from '../reply.ts'
import type { Target } from '../spaces/space.ts'

type Operation = (left: number, right: number) => number

/** NOT has one source, and none of these. */
const operations: ReadonlyMap<string, Operation> = new Map([
  ['and', (left, right) => left & right],
  ['or', (left, right) => left | right],
  ['xor', (left, right) => left ^ right],
])

function bitop(call: Call): string {
  const name = argumentOf(call, 1).toLowerCase()
  const operation = operations.get(name)
  if (operation === undefined && name !== 'not') throw syntaxError()
  const destination = targetOf(call)
  const sources = call.targets.slice(1)
  if (name === 'not' && sources.length > 1) {
    throw new RedisError('ERR BITOP NOT must be called with a single source key.')
  }
  destination.space.checkEditable()
  const values = sources.map((source) => bytesAt(call, source))
  // Not by spreading them: a call has room for some 100,000 arguments.
  const result = Buffer.alloc(values.reduce((most, { length }) => Math.max(most, length), 0))
  for (const [index, value] of values.entries()) {
    for (let at = 0; at < result.length; at++) {
      // A string that ends earlier goes on in zeros.
      const byte = value[at] ?? 0
      if (operation === undefined) result[at] = ~byte
      else result[at] = index === 0 ? byte : operation(result[at] ?? 0, byte)
    }
  }
  if (result.length > 0) {
    destination.space.setString(destination, latin1Of(result), false, undefined)
    call.server.events.tell(destination, 'string', 'set')
  } else if (destination.space.live(destination) !== undefined) {
    destination.space.delete(destination)
    call.server.events.tell(destination, 'generic', 'del')
  }
  return integer(result.length)
}

function bytesAt(call: Call, source: Target): Buffer {
  const current = lookUp(call, source)
  source.space.checkEditable()
  return Buffer.from(current === undefined ? '' : source.space.stringOf(current), 'latin1')
}

export const bitopCommands = inGroup('string', [
  { name: 'bitop', arity: -4, flags: ['write', 'denyoom'], keys: [2, -1, 1], run: bitop },
])
