import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DaybookError } from '../../src/base/errors.ts'
import { LineSplitter } from '../../src/control/lines.ts'
import { errorFromWire, errorToWire } from '../../src/control/wire.ts'

describe('errors on the wire', () => {
  it('keep code, message, details and hint', () => {
    const error = new DaybookError('OVERLOADED', 'Too much.', {
      details: { bytes: 1 },
      hint: 'Wait.',
    })
    const revived = errorFromWire(errorToWire(error))
    expect(revived).toBeInstanceOf(DaybookError)
    expect(revived).toMatchObject({
      code: 'OVERLOADED',
      message: 'Too much. Wait.',
      details: { bytes: 1 },
      hint: 'Wait.',
    })
  })

  it('do not take a stack or a cause along', () => {
    const wire = errorToWire(
      new TypeError('no such thing', { cause: 'postgres://user:secret@host' }),
    )
    expect(wire).toEqual({ code: 'INTERNAL', message: 'no such thing' })
    expect(errorToWire('odd')).toEqual({ code: 'INTERNAL', message: 'odd' })
  })

  it.each([undefined, 'text', {}, { code: 'FROM_A_NEWER_VERSION', message: 'new' }])(
    'are errors even where the other side made no sense',
    (wire) => {
      expect(errorFromWire(wire)).toBeInstanceOf(Error)
    },
  )
})

describe('lines', () => {
  it('are the same however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/\s/g, '.'))),
        fc.array(fc.nat({ max: 50 })),
        (texts, cuts) => {
          const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''))
          const splitter = new LineSplitter(1_000_000)
          const lines: string[] = []
          let at = 0
          for (const length of [...cuts, bytes.length]) {
            lines.push(...(splitter.push(bytes.subarray(at, at + length)) ?? ['too long']))
            at += length
          }
          expect(lines).toEqual(texts.filter((text) => text !== ''))
        },
      ),
    )
  })

  it('end the stream where one is too long, in one chunk or in many', () => {
    expect(new LineSplitter(4).push(Buffer.from('12345\n'))).toBeUndefined()
    expect(new LineSplitter(4).push(Buffer.from('1234\n'))).toEqual(['1234'])
    const splitter = new LineSplitter(4)
    expect(splitter.push(Buffer.from('123'))).toEqual([])
    expect(splitter.push(Buffer.from('45'))).toBeUndefined()
  })
})
