/**
 * BITFIELD and BITFIELD_RO: integers of any width at any bit of a string, most significant bit first.
 *
 *     BITFIELD stats GET u8 0 OVERFLOW SAT INCRBY i5 100 1
 */

import { argumentOf, inGroup, lookUp, targetOf, type Call } from '../command.ts'
import { latin1Of } from '../latin1.ts'
import { integerOf, maxInteger, safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError, syntaxError } from '../redis-error.ts'
import { integer } from '../reply.ts'
import { bitOffset, edit, editable } from './string-values.ts'

type Overflow = 'wrap' | 'sat' | 'fail'

interface Field {
  readonly signed: boolean
  readonly bits: number
  /** In bits. */
  readonly offset: number
}

type Operation =
  | { readonly kind: 'get'; readonly field: Field }
  | {
      readonly kind: 'set' | 'incrby'
      readonly field: Field
      readonly amount: bigint
      readonly overflow: Overflow
    }

function operationsOf(call: Call): Operation[] {
  const { args } = call
  const operations: Operation[] = []
  let overflow: Overflow = 'wrap'
  for (let at = 2; at < args.length; at++) {
    const kind = argumentOf(call, at).toLowerCase()
    const left = args.length - at - 1
    if (kind === 'get' && left >= 2) {
      operations.push({ kind, field: fieldOf(call, at + 1) })
      at += 2
    } else if ((kind === 'set' || kind === 'incrby') && left >= 3) {
      const field = fieldOf(call, at + 1)
      const amount = integerOf(argumentOf(call, at + 3))
      if (amount === undefined) throw notAnInteger()
      operations.push({ kind, field, amount, overflow })
      at += 3
    } else if (kind === 'overflow' && left >= 1) overflow = overflowOf(argumentOf(call, ++at))
    else throw syntaxError()
  }
  return operations
}

function overflowOf(text: string): Overflow {
  const overflow = text.toLowerCase()
  if (overflow === 'wrap' || overflow === 'sat' || overflow === 'fail') return overflow
  throw new RedisError('ERR Invalid OVERFLOW type specified')
}

/** The type, and behind it the offset: in bits, or with a # in as many as the type has. */
function fieldOf(call: Call, at: number): Field {
  const type = argumentOf(call, at)
  const signed = type.startsWith('i')
  const bits = safeIntegerOf(type.slice(1)) ?? 0
  if (!(signed || type.startsWith('u')) || bits < 1 || bits > (signed ? 64 : 63)) {
    throw new RedisError(
      'ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.',
    )
  }
  const text = argumentOf(call, at + 1)
  const offset = text.startsWith('#') ? bitOffset(call, text.slice(1), bits) : bitOffset(call, text)
  return { signed, bits, offset }
}

/** What lies beyond the end is zeros. */
function read(bytes: Buffer, { signed, bits, offset }: Field): bigint {
  const first = offset >> 3
  const last = (offset + bits - 1) >> 3
  let value = 0n
  for (let at = first; at <= last; at++) value = (value << 8n) | BigInt(bytes[at] ?? 0)
  const behind = BigInt((last + 1) * 8 - offset - bits)
  return signed ? BigInt.asIntN(bits, value >> behind) : BigInt.asUintN(bits, value >> behind)
}

function write(bytes: Buffer, { bits, offset }: Field, value: bigint): void {
  const first = offset >> 3
  const last = (offset + bits - 1) >> 3
  const behind = (last + 1) * 8 - offset - bits
  let rest = BigInt.asUintN(bits, value) << BigInt(behind)
  let mask = ((1n << BigInt(bits)) - 1n) << BigInt(behind)
  for (let at = last; at >= first; at--) {
    const byte = BigInt(bytes[at] ?? 0)
    bytes[at] = Number((byte & ~mask & 255n) | (rest & 255n))
    rest >>= 8n
    mask >>= 8n
  }
}

function boundsOf({ signed, bits }: Field): readonly [min: bigint, max: bigint] {
  const max = (1n << BigInt(signed ? bits - 1 : bits)) - 1n
  return [signed ? -max - 1n : 0n, max]
}

/** The value that the field can have; undefined where that is none. */
function fitted(field: Field, value: bigint, overflow: Overflow): bigint | undefined {
  const [min, max] = boundsOf(field)
  if (value >= min && value <= max) return value
  if (overflow === 'fail') return undefined
  if (overflow === 'sat') return value > max ? max : min
  return field.signed ? BigInt.asIntN(field.bits, value) : BigInt.asUintN(field.bits, value)
}

/** What the field is to have. */
function wanted(operation: Exclude<Operation, { kind: 'get' }>, before: bigint): bigint {
  const { kind, field, amount } = operation
  if (kind === 'incrby') return before + amount
  // A value that is set is 64 bits, which an unsigned field takes as such.
  if (!field.signed) return BigInt.asUintN(64, amount)
  // So far below its field that in Redis the difference overflows, it counts as above it: the same bits, but SAT sees it.
  const [, max] = boundsOf(field)
  return max - amount > maxInteger ? amount + 2n ** 64n : amount
}

function bitfield(call: Call): string {
  const operations = operationsOf(call)
  const writes = operations.filter((operation) => operation.kind !== 'get')
  const target = targetOf(call)
  if (writes.length === 0) return readOnly(call, operations)
  const current = target.space.live(target)
  const value = editable(target, current) ?? ''
  const end = writes.reduce((most, { field }) => Math.max(most, field.offset + field.bits), 0)
  const bytes = Buffer.alloc(Math.max(value.length, Math.ceil(end / 8)))
  bytes.write(value, 0, 'latin1')
  const grows = bytes.length > value.length
  let changes = false
  let reply = `*${operations.length}\r\n`
  for (const operation of operations) {
    const { kind, field } = operation
    const before = read(bytes, field)
    if (kind === 'get') {
      reply += integer(before)
      continue
    }
    const after = fitted(field, wanted(operation, before), operation.overflow)
    if (after === undefined) {
      reply += call.protocol.nil
      continue
    }
    write(bytes, field, after)
    if (grows || after !== before) changes = true
    reply += integer(kind === 'set' ? before : after)
  }
  // As in Redis, there is room also for what failed, and nobody is told of it.
  if (grows || changes) {
    edit(call, target, current, {
      value: latin1Of(bytes),
      event: changes ? 'setbit' : undefined,
    })
  }
  return reply
}

function readOnly(call: Call, operations: readonly Operation[]): string {
  const target = targetOf(call)
  const bytes = Buffer.from(editable(target, lookUp(call, target)) ?? '', 'latin1')
  return (
    `*${operations.length}\r\n` +
    operations.map(({ field }) => integer(read(bytes, field))).join('')
  )
}

function bitfieldRo(call: Call): string {
  const operations = operationsOf(call)
  if (operations.some(({ kind }) => kind !== 'get')) {
    throw new RedisError('ERR BITFIELD_RO only supports the GET subcommand')
  }
  return readOnly(call, operations)
}

export const bitfieldCommands = inGroup('string', [
  { name: 'bitfield', arity: -2, flags: ['write', 'denyoom'], keys: [1, 1, 1], run: bitfield },
  {
    name: 'bitfield_ro',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: [1, 1, 1],
    run: bitfieldRo,
  },
])
