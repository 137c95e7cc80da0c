/** What may happen to the bytes of a file, as values that fast-check can make, shrink and print. */

import fc from 'fast-check'

/** A place in a file. It is taken modulo the file's length, so that it means something in every file. */
export type Damage =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'fill'; readonly at: number; readonly length: number; readonly byte: number }
  | { readonly kind: 'set'; readonly at: number; readonly bytes: Uint8Array }
  /** A sector or page that reads as zeros. */
  | {
      readonly kind: 'zero'
      readonly at: number
      readonly unit: 512 | 4096
      readonly count: number
    }
  | { readonly kind: 'truncate'; readonly at: number }
  | { readonly kind: 'append'; readonly bytes: Uint8Array }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'remove'; readonly at: number; readonly length: number }
  /** A write that went astray: one part of the file in the place of another. */
  | {
      readonly kind: 'copy'
      readonly from: number
      readonly at: number
      readonly length: number
    }

/** Near multiples of the sizes that disks and formats care about, as well as anywhere. */
export const place: fc.Arbitrary<number> = fc.oneof(
  fc.nat(0xffff_ffff),
  fc
    .tuple(fc.nat(64), fc.constantFrom(1, 16, 512, 4096), fc.nat(99))
    .map(([count, unit, rest]) => count * unit + rest),
)

const length: fc.Arbitrary<number> = fc.oneof(
  fc.integer({ min: 1, max: 16 }),
  fc.integer({ min: 1, max: 9_000 }),
)

/** Changes that leave the file's size as it is: what a disk does. */
export const inPlace: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('fill' as const), at: place, length, byte: fc.nat(255) }),
  fc.record({
    kind: fc.constant('set' as const),
    at: place,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 24 }),
  }),
  fc.record({
    kind: fc.constant('zero' as const),
    at: place,
    unit: fc.constantFrom(512 as const, 4096 as const),
    count: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ kind: fc.constant('copy' as const), from: place, at: place, length }),
)

/** Changes of the size too: what programs and people do. */
export const resizing: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant('truncate' as const), at: place }),
  fc.record({
    kind: fc.constant('append' as const),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }),
  }),
  fc.record({
    kind: fc.constant('insert' as const),
    at: place,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }),
  }),
  fc.record({ kind: fc.constant('remove' as const), at: place, length }),
)

export const anyDamage: fc.Arbitrary<Damage> = fc.oneof(
  { arbitrary: inPlace, weight: 3 },
  { arbitrary: resizing, weight: 1 },
)

/** A changed copy. */
export function damaged(original: Uint8Array, damage: Damage): Uint8Array {
  const bytes = new Uint8Array(original)
  if (damage.kind === 'append') return Buffer.concat([bytes, damage.bytes])
  if (bytes.length === 0) return bytes
  const at = damage.at % bytes.length
  switch (damage.kind) {
    case 'flip':
      bytes[at] = (bytes[at] ?? 0) ^ (1 << damage.bit)
      return bytes
    case 'fill':
      return bytes.fill(damage.byte, at, at + damage.length)
    case 'set':
      bytes.set(damage.bytes.subarray(0, bytes.length - at), at)
      return bytes
    case 'zero': {
      const start = at - (at % damage.unit)
      return bytes.fill(0, start, start + damage.count * damage.unit)
    }
    case 'truncate':
      return bytes.slice(0, at)
    case 'insert':
      return Buffer.concat([bytes.subarray(0, at), damage.bytes, bytes.subarray(at)])
    case 'remove':
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + damage.length)])
    case 'copy': {
      const from = damage.from % bytes.length
      return bytes.copyWithin(at, from, from + damage.length)
    }
  }
}
