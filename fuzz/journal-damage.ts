/** What may happen to the files of a journal, as values that fast-check can make, shrink and print. */

import fc from 'fast-check'
import type { MemoryFiles } from '../src/testing/memory-files.ts'
import { anyDamage, damaged, inPlace, place, type Damage } from './damage.ts'
import { directory, type JournalImage } from './journal-images.ts'

/** `segment` and `batch` are taken modulo how many there are. */
export type JournalDamage =
  | { readonly kind: 'bytes'; readonly segment: number; readonly damage: Damage }
  /** One batch, where a batch is damaged most easily: in its header, or in its records. */
  | { readonly kind: 'batch'; readonly batch: number; readonly at: number; readonly bit: number }
  | { readonly kind: 'lost batches'; readonly from: number; readonly count: number }
  | { readonly kind: 'removed'; readonly segment: number; readonly count: number }
  /** A file is found under another file's name, and the other way round. */
  | { readonly kind: 'swapped'; readonly segment: number; readonly other: number }
  /** A second copy, under a name that a segment could have. */
  | { readonly kind: 'duplicated'; readonly segment: number; readonly base: number }
  /** The disk gives back what the file was earlier. */
  | { readonly kind: 'older'; readonly segment: number; readonly state: number }
  /** A segment of another journal. */
  | { readonly kind: 'foreign'; readonly image: number; readonly segment: number }
  /** A batch of this or another journal in the place of one of this. */
  | {
      readonly kind: 'spliced'
      readonly image: number
      readonly batch: number
      readonly at: number
    }
  | { readonly kind: 'stray'; readonly name: string; readonly bytes: Uint8Array }

const index = fc.nat(99)

/** At the end of the journal more is decided than elsewhere. */
const fromTheEnd = fc.oneof(
  index,
  fc.nat(3).map((back) => -1 - back),
)

export const journalDamage: fc.Arbitrary<JournalDamage> = fc.oneof(
  { weight: 3, arbitrary: record('bytes', { segment: fromTheEnd, damage: inPlace }) },
  { weight: 1, arbitrary: record('bytes', { segment: fromTheEnd, damage: anyDamage }) },
  {
    weight: 3,
    arbitrary: record('batch', {
      batch: fromTheEnd,
      at: fc.oneof(fc.nat(95), place),
      bit: fc.nat(7),
    }),
  },
  {
    weight: 2,
    arbitrary: record('lost batches', { from: fromTheEnd, count: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 1,
    arbitrary: record('removed', { segment: fromTheEnd, count: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: record('swapped', { segment: index, other: index }) },
  { weight: 1, arbitrary: record('duplicated', { segment: index, base: index }) },
  { weight: 2, arbitrary: record('older', { segment: fromTheEnd, state: index }) },
  { weight: 1, arbitrary: record('foreign', { image: index, segment: index }) },
  { weight: 2, arbitrary: record('spliced', { image: index, batch: index, at: fromTheEnd }) },
  { weight: 1, arbitrary: record('stray', { name: strayName(), bytes: fc.uint8Array() }) },
)

function record<Kind extends string, Fields extends object>(
  kind: Kind,
  fields: { [Name in keyof Fields]: fc.Arbitrary<Fields[Name]> },
): fc.Arbitrary<Fields & { readonly kind: Kind }> {
  return fc.record({ ...fields, kind: fc.constant(kind) }) as unknown as fc.Arbitrary<
    Fields & { readonly kind: Kind }
  >
}

function strayName(): fc.Arbitrary<string> {
  return fc.constantFrom(
    'notes.txt',
    'backup.wal',
    '.hidden',
    'torn-0000000001-4096-00000000.bin',
    'preparing-01234567-89ab-cdef-0123-456789abcdef.tmp',
    `${'9'.repeat(20)}-${'a'.repeat(32)}.wal`,
    `${'0'.repeat(20)}-${'0'.repeat(32)}.wal.bak`,
  )
}

/** Does the damage to the files of the image, or of a fork of it. */
export async function doDamage(
  files: MemoryFiles,
  damage: JournalDamage,
  image: JournalImage,
  images: readonly JournalImage[],
): Promise<void> {
  const pathOf = (name: string): string => `${directory}/${name}`
  /** An earlier damage may have removed the file. */
  const change = (name: string, to: (bytes: Uint8Array) => Uint8Array): void => {
    const bytes = files.view(pathOf(name))
    if (bytes !== undefined) files.place(pathOf(name), to(new Uint8Array(bytes)))
  }
  switch (damage.kind) {
    case 'bytes':
      change(pick(image.segments, damage.segment), (bytes) => damaged(bytes, damage.damage))
      return
    case 'batch': {
      const { file, header, bytes } = pick(image.batches, damage.batch)
      const at = header.offset + (damage.at % bytes.length)
      change(file, (content) => damaged(content, { kind: 'flip', at, bit: damage.bit }))
      return
    }
    case 'lost batches':
      for (const { file, header, bytes } of several(image.batches, damage.from, damage.count)) {
        change(file, (content) => content.fill(0, header.offset, header.offset + bytes.length))
      }
      return
    case 'removed':
      for (const name of several(image.segments, damage.segment, damage.count)) {
        await files.remove(pathOf(name))
      }
      return
    case 'swapped': {
      const [one, other] = [
        pick(image.segments, damage.segment),
        pick(image.segments, damage.other),
      ]
      const content = files.view(pathOf(one))
      if (content === undefined) return
      const kept = new Uint8Array(content)
      change(one, (bytes) => files.view(pathOf(other)) ?? bytes)
      change(other, () => kept)
      return
    }
    case 'duplicated': {
      const name = pick(image.segments, damage.segment)
      const content = files.view(pathOf(name))
      const copy = `${String(damage.base).padStart(20, '0')}${name.slice(20)}`
      if (content !== undefined) files.place(pathOf(copy), content)
      return
    }
    case 'older': {
      const name = pick(image.segments, damage.segment)
      const states = image.older.get(name)
      if (states !== undefined) change(name, () => pick(states, damage.state))
      return
    }
    case 'foreign': {
      const other = pick(images, damage.image)
      if (other === image) return
      const name = pick(other.segments, damage.segment)
      files.place(pathOf(name), other.files.contentOf(pathOf(name)))
      return
    }
    case 'spliced': {
      const batch = pick(pick(images, damage.image).batches, damage.batch)
      const { file, header } = pick(image.batches, damage.at)
      change(file, (content) => {
        if (header.offset < content.length) {
          content.set(batch.bytes.subarray(0, content.length - header.offset), header.offset)
        }
        return content
      })
      return
    }
    case 'stray':
      files.place(pathOf(damage.name), damage.bytes)
  }
}

/** Negative ones count from the end. */
export function pick<Item>(items: readonly Item[], at: number): Item {
  const { length } = items
  const item = items[((at % length) + length) % length]
  if (item === undefined) throw new Error('there is nothing to pick from')
  return item
}

function several<Item>(items: readonly Item[], at: number, count: number): Item[] {
  return Array.from({ length: count }, (_, more) => pick(items, at + more))
}
