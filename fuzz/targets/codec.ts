/** Targets: the bytes of a record, and tagged JSON. */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { AssertionError } from '../../src/base/assert.ts'
import { isDaybookError } from '../../src/base/errors.ts'
import type { Entry } from '../../src/mutation/mutation.ts'
import { decodeRecord, encodeRecord } from '../../src/mutation/record.ts'
import { fromTaggedJson, toTaggedJson } from '../../src/mutation/tagged-json.ts'
import { anyDamage, damaged } from '../damage.ts'
import { fuzzTarget } from '../fuzz-target.ts'
import { entry, fieldValue, hostileText } from '../values.ts'

const records = fc.oneof(
  fc.record({ entry, damages: fc.constant([]) }),
  fc.record({ entry, damages: fc.array(anyDamage, { minLength: 1, maxLength: 3 }) }),
  fc.record({ bytes: fc.uint8Array({ maxLength: 200 }), length: fc.option(fc.nat(300)) }),
)

export const recordTarget = fuzzTarget(records, {
  name: 'record',
  doc: 'A record gives its entry back; other bytes give a clear error, or an entry that can be written again.',
  cases: 3_000,
  outcomes: ['round trip', 'decoded', 'refused'],
  check: (given) => {
    if ('bytes' in given) {
      const bytes = Buffer.from(given.bytes)
      if (given.length !== null && bytes.length >= 4) bytes.writeUInt32LE(given.length)
      return decoded(bytes)
    }
    const bytes = encoded(given.entry)
    if (given.damages.length > 0) return decoded(Buffer.from(given.damages.reduce(damaged, bytes)))
    const back = decodeRecord(bytes, 0, given.entry.position)
    assert.deepStrictEqual({ ...back, bytes: 0 }, given.entry)
    return 'round trip'
  },
})

function encoded(entry: Entry): Buffer {
  const needed = -encodeRecord(entry, Buffer.alloc(0), 0)
  const buffer = Buffer.alloc(needed)
  return buffer.subarray(0, encodeRecord(entry, buffer, 0))
}

/** What is decoded must not depend on what stands behind the bytes in memory. */
function decoded(bytes: Buffer): string {
  const behind = [0x00, 0xff].map((fill) => {
    const memory = Buffer.alloc(bytes.length + 70_000, fill)
    memory.set(bytes)
    return attempt(memory.subarray(0, bytes.length))
  })
  assert.deepStrictEqual(behind[0], behind[1], 'something was read beyond the bytes')
  const [result] = behind
  if (typeof result !== 'object') return 'refused'
  assert.ok(result.key.length + result.cache.length <= bytes.length, 'as long as the bytes')
  const again = attempt(encoded({ ...result, bytes: 0 }))
  assert.ok(typeof again === 'object', 'what was decoded cannot be read again')
  assert.deepStrictEqual({ ...again, bytes: 0 }, { ...result, bytes: 0 })
  return 'decoded'
}

/** The entry, or the message of the refusal. */
function attempt(bytes: Buffer): Entry | string {
  try {
    return decodeRecord(bytes, 0, 1)
  } catch (error) {
    const clear =
      isDaybookError(error, 'INVALID_VALUE') ||
      error instanceof AssertionError ||
      error instanceof SyntaxError
    if (clear) return error.message
    throw error
  }
}

const texts = fc.oneof(
  fc.record({ value: fieldValue }),
  fc.record({ value: fieldValue, damages: fc.array(anyDamage, { minLength: 1, maxLength: 2 }) }),
  fc.record({ text: fc.oneof(hostileText, fc.json()) }),
)

export const taggedJsonTarget = fuzzTarget(texts, {
  name: 'tagged-json',
  doc: 'A canonical value comes back from its text; another text gives a SyntaxError, or a value that comes back.',
  cases: 3_000,
  outcomes: ['round trip', 'parsed', 'refused'],
  check: (given) => {
    if ('value' in given && !('damages' in given)) {
      assert.deepStrictEqual(fromTaggedJson(toTaggedJson(given.value)), given.value)
      return 'round trip'
    }
    const text =
      'text' in given
        ? given.text
        : Buffer.from(
            given.damages.reduce(damaged, Buffer.from(toTaggedJson(given.value))),
          ).toString()
    let value: unknown
    try {
      value = fromTaggedJson(text)
    } catch (error) {
      assert.ok(error instanceof SyntaxError, `another error than a SyntaxError: ${String(error)}`)
      return 'refused'
    }
    assert.deepStrictEqual(fromTaggedJson(toTaggedJson(value)), value)
    return 'parsed'
  },
})
