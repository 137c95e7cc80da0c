/** What a disk may have kept of what was not synced, as a list of cases to go through. */

import type {
  CrashFates,
  UnsyncedOperation,
  WriteFate,
} from '../../src/testing/memory-crash-fates.ts'

/** What became of one unsynced operation. `head` and `tail`: only its first sector, or all but that. */
type Fate =
  'kept' | 'dropped' | 'garbled' | 'head512' | 'tail512' | 'head4096' | 'tail4096' | 'mixed'

/** One for each unsynced operation, oldest first. */
export type Variant = readonly Fate[]

/** Beyond so many combinations each operation deviates alone, from nothing and from everything. */
const maxCombinations = 12

/** Every case, or where these are too many, nothing, everything, and each operation alone in each of its fates. */
export function variantsOf(unsynced: readonly UnsyncedOperation[]): Variant[] {
  const choices = unsynced.map(fatesOf)
  const combinations = choices.reduce((count, fates) => count * fates.length, 1)
  if (combinations <= maxCombinations) return product(choices)
  const variants: Variant[] = []
  for (const others of ['dropped', 'kept'] as const) {
    const alike: Fate[] = choices.map(() => others)
    variants.push(alike)
    for (const [at, fates] of choices.entries()) {
      for (const fate of fates) if (fate !== others) variants.push(alike.with(at, fate))
    }
  }
  return variants
}

/** Nothing, everything, and torn. One where nothing is unsynced. */
export function roughVariantsOf(unsynced: readonly UnsyncedOperation[]): Variant[] {
  if (unsynced.length === 0) return [[]]
  return [
    unsynced.map(() => 'dropped'),
    unsynced.map(() => 'kept'),
    ...(unsynced.some(({ kind }) => kind === 'write')
      ? [unsynced.map(({ kind }) => (kind === 'write' ? 'mixed' : 'kept')) as Variant]
      : []),
  ]
}

export function crashFates(variant: Variant): CrashFates {
  let at = 0
  const keptOrDropped = (): 'kept' | 'dropped' => (variant[at++] === 'kept' ? 'kept' : 'dropped')
  return {
    write: () => writeFate(variant[at++] ?? 'dropped'),
    size: keptOrDropped,
    name: keptOrDropped,
  }
}

function fatesOf(operation: UnsyncedOperation): Fate[] {
  if (operation.kind !== 'write') return ['dropped', 'kept']
  const fates: Fate[] = ['dropped', 'kept', 'garbled']
  if (spans(operation, 512)) fates.push('head512', 'tail512')
  if (spans(operation, 4096)) fates.push('head4096', 'tail4096')
  return fates
}

function spans(
  { offset, length }: { readonly offset: number; readonly length: number },
  sectorBytes: number,
): boolean {
  return Math.floor(offset / sectorBytes) < Math.floor((offset + length - 1) / sectorBytes)
}

function writeFate(fate: Fate): WriteFate {
  if (fate === 'kept' || fate === 'dropped' || fate === 'garbled') return fate
  const mixed = ['kept', 'dropped', 'garbled'] as const
  return {
    sectorBytes: fate.endsWith('4096') ? 4096 : 512,
    sector: (index) => {
      if (fate === 'mixed') return mixed[index % 3] ?? 'kept'
      return fate.startsWith('head') === (index === 0) ? 'kept' : 'dropped'
    },
  }
}

function product(choices: readonly (readonly Fate[])[]): Variant[] {
  let variants: Variant[] = [[]]
  for (const fates of choices) {
    variants = variants.flatMap((variant) => fates.map((fate) => [...variant, fate]))
  }
  return variants
}
