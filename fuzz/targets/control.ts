/** Targets: lines of the control socket. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/log.ts'
import { startControl } from '../../src/control/control-server.ts'
import { LineSplitter } from '../../src/control/lines.ts'
import { controlMethods } from '../../src/control/methods.ts'
import { errorFromWire, isRecord } from '../../src/control/wire.ts'
import { fromTaggedJson, toTaggedJson } from '../../src/mutation/tagged-json.ts'
import { FakeBook } from '../../test/control/fake-book.ts'
import { anyDamage, damaged } from '../damage.ts'
import { fuzzTarget } from '../fuzz-target.ts'
import { fieldValue, hostileText } from '../values.ts'

const chunks = fc.record({
  maxBytes: fc.integer({ min: 1, max: 40 }),
  chunks: fc.array(
    fc
      .uint8Array({ maxLength: 30 })
      .map((bytes) => bytes.map((byte) => (byte % 7 === 0 ? 10 : byte))),
    { maxLength: 8 },
  ),
})

export const linesTarget = fuzzTarget(chunks, {
  name: 'control-lines',
  doc: 'Lines come out whole, however the stream is cut, and a line beyond the bound ends it.',
  cases: 5_000,
  outcomes: ['lines', 'too long'],
  check: ({ maxBytes, chunks }) => {
    const splitter = new LineSplitter(maxBytes)
    const lines: string[] = []
    const parts = Buffer.concat(chunks).toString('latin1').split('\n')
    const tooLong = parts.some((part) => part.length > maxBytes)
    for (const chunk of chunks) {
      const complete = splitter.push(chunk)
      if (complete === undefined) {
        assert.ok(tooLong, 'a line within the bound was refused')
        return 'too long'
      }
      lines.push(...complete)
    }
    assert.ok(!tooLong, 'a line beyond the bound was kept')
    const expected = parts.slice(0, -1).map((part) => Buffer.from(part, 'latin1').toString())
    assert.deepEqual(
      lines,
      expected.filter((line) => line.trim() !== ''),
    )
    return 'lines'
  },
})

const parameter = fc.constantFrom(
  ...['id', 'ids', 'filter', 'first', 'force', 'edit', 'after', 'limit', 'timeoutMs', 'sinceMs'],
  ...['cache', 'key', 'keyPrefix', 'code', 'reason', 'untilMs', '__proto__'],
)
const params = fc.dictionary(
  parameter,
  fc.oneof(
    fieldValue,
    fc.constantFrom('rejected', '0-1', 1, 10),
    fc.dictionary(parameter, fieldValue),
  ),
  { maxKeys: 4, noNullPrototype: true },
)
const requests = fc.oneof(
  fc.record({
    id: fc.integer(),
    method: fc.oneof(fc.constantFrom(...controlMethods.keys()), hostileText),
    params: fc.oneof(params, fieldValue),
  }),
  fieldValue,
)
const line = fc.record({
  request: requests,
  damages: fc.array(anyDamage, { maxLength: 1 }),
  /** So many arrays, one in the other. */
  depth: fc.oneof(fc.constant(0), fc.constantFrom(1_000, 100_000)),
})

export const requestsTarget = fuzzTarget(fc.array(line, { minLength: 1, maxLength: 8 }), {
  name: 'control-requests',
  doc: 'Every line is answered, with a result or an error with a code, and the daybook goes on listening.',
  cases: 50,
  outcomes: ['answered'],
  check: async (given) => {
    const directory = mkdtempSync(join(tmpdir(), 'daybook-fuzz-'))
    const book = new FakeBook()
    const control = await startControl(book, {
      directory,
      clock: systemClock,
      logger: silentLogger,
    })
    try {
      const lines = given.map(textOf)
      const answers = await ask(control.address, lines)
      assert.equal(answers.length, lines.length, 'one answer for each line')
      for (const answer of answers) checkAnswer(answer)
      const [status] = await ask(control.address, ['{"id":1,"method":"status"}'])
      assert.ok(isRecord(status) && status.id === 1 && status.error === undefined, 'it goes on')
    } finally {
      await control.close()
      rmSync(directory, { recursive: true })
    }
    return 'answered'
  },
})

/** One line that is not blank. */
function textOf({
  request,
  damages,
  depth,
}: typeof line extends fc.Arbitrary<infer L> ? L : never): string {
  const text = toTaggedJson(request)
  const nested = depth === 0 ? text : `{"$x":${'['.repeat(depth)}${']'.repeat(depth)}}`
  const bytes = damages.reduce<Uint8Array>(damaged, Buffer.from(nested))
  const flat = Buffer.from(bytes).toString().replaceAll('\n', ' ')
  return flat.trim() === '' ? 'blank' : flat
}

/** The answers of one connection, as values. */
function ask(address: string, lines: readonly string[]): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const answers: unknown[] = []
    const splitter = new LineSplitter(1 << 20)
    const socket = connect(address)
    socket.once('error', reject)
    socket.once('close', () => resolve(answers))
    socket.on('data', (chunk: Buffer) => {
      answers.push(...(splitter.push(chunk) ?? []).map(fromTaggedJson))
      if (answers.length >= lines.length) socket.end()
    })
    socket.write(lines.map((line) => `${line}\n`).join(''))
  })
}

function checkAnswer(answer: unknown): void {
  assert.ok(isRecord(answer), 'an answer is an object')
  if (answer.error === undefined) return
  const error = errorFromWire(answer.error)
  assert.ok(
    isRecord(answer.error) && answer.error.code !== 'INTERNAL',
    `without a code: ${error.message}`,
  )
}
