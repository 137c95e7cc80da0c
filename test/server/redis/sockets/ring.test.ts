import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ringMemory,
  maxFrameBytes,
  RingReader,
  RingWriter,
} from '../../../../src/server/redis/sockets/ring.ts'
import { latin1Of } from '../../../../src/server/redis/latin1.ts'

interface Frame {
  readonly kind: number
  readonly connection: number
  readonly detail: number
  readonly text: string
}

function ring(capacityBytes: number): {
  readonly put: (frame: Frame, asBytes: boolean) => boolean
  readonly writer: RingWriter
  readonly reader: RingReader
  readonly taken: () => Frame[]
} {
  const memory = ringMemory(capacityBytes)
  const [writer, reader] = [new RingWriter(memory), new RingReader(memory)]
  return {
    writer,
    reader,
    put({ kind, connection, detail, text }, asBytes) {
      return writer.put(kind, connection, detail, asBytes ? Buffer.from(text, 'latin1') : text)
    },
    taken() {
      const frames: Frame[] = []
      reader.take((kind, connection, detail, from, start, length) => {
        frames.push({ kind, connection, detail, text: latin1Of(from, start, start + length) })
      })
      return frames
    },
  }
}

const capacityBytes = 1024
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const frames = fc.record({
  kind: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  connection: int32,
  detail: int32,
  text: fc
    .uint8Array({ maxLength: maxFrameBytes(ringMemory(capacityBytes)) })
    .map((bytes) => Buffer.from(bytes).toString('latin1')),
})

describe('a ring', () => {
  test('gives out what was published, in order, whatever the sizes and the turns', () => {
    const steps = fc.oneof(
      fc.record({ put: frames, asBytes: fc.boolean() }),
      fc.constant('publish' as const),
      fc.constant('take' as const),
    )
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 200 }), (todo) => {
        const { put, writer, reader, taken } = ring(capacityBytes)
        const hidden: Frame[] = []
        const published: Frame[] = []
        for (const step of todo) {
          if (step === 'publish') {
            expect(writer.publish()).toBe(hidden.length > 0)
            published.push(...hidden.splice(0))
          } else if (step === 'take') {
            expect(reader.isEmpty).toBe(published.length === 0)
            expect(taken()).toEqual(published.splice(0))
          } else if (put(step.put, step.asBytes)) hidden.push(step.put)
          else {
            // It is refused for want of room only: with what is in it gone, there is some.
            expect(hidden.length + published.length).toBeGreaterThan(0)
            writer.publish()
            published.push(...hidden.splice(0))
            expect(taken()).toEqual(published.splice(0))
            expect(put(step.put, step.asBytes)).toBe(true)
            hidden.push(step.put)
          }
        }
      }),
    )
  })

  test('says once that room is wanted, and not where there has been some since', () => {
    const { put, writer, reader, taken } = ring(capacityBytes)
    const frame = { kind: 1, connection: 1, detail: 0, text: 'x'.repeat(100) }
    while (put(frame, false));
    writer.publish()
    expect(reader.isRoomWanted).toBe(false)
    expect(writer.wantRoom()).toBe(false)
    expect(taken().length).toBeGreaterThan(5)
    expect(reader.isRoomWanted).toBe(true)
    expect(reader.isRoomWanted).toBe(false)
    expect(put(frame, false)).toBe(true)

    while (put(frame, false));
    writer.publish()
    taken()
    expect(writer.wantRoom()).toBe(true)
    expect(reader.isRoomWanted).toBe(false)
    expect(put(frame, false)).toBe(true)
  })

  test('goes on beyond 4 GiB, where its counts begin anew', () => {
    const capacity = 8 * 1024 * 1024
    const { put, writer, reader, taken } = ring(capacity)
    const payload = new Uint8Array(1024 * 1024)
    let bytes = 0
    for (let n = 0; bytes < 2 ** 32 + capacity; n++) {
      if (!writer.put(1, n, 0, payload)) {
        writer.publish()
        reader.take((_kind, _connection, _detail, _from, _start, length) => {
          bytes += length
        })
        expect(writer.put(1, n, 0, payload)).toBe(true)
      }
    }
    writer.publish()
    taken()
    const frame = { kind: 7, connection: -1, detail: 2, text: 'behind it' }
    expect(put(frame, true)).toBe(true)
    writer.publish()
    expect(taken()).toEqual([frame])
  })
})
