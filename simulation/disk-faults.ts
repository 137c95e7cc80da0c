/** What goes wrong with the disk of a process, and how long its calls take. */

import type { Fault, FaultPlan, FileStep } from '../src/testing/memory-files.ts'
import type { Chance } from './chance.ts'
import type { Life } from './event-loop.ts'

export const syncProfiles = ['ext4-ordered', 'ext4-data', 'xfs', 'btrfs'] as const
export type SyncProfile = (typeof syncProfiles)[number]

/** From 0 to 1 for each step that it can hit. */
export interface DiskFaultRates {
  readonly writeEio: number
  readonly readEio: number
  readonly shortWrite: number
  readonly full: number
  readonly syncFails: number
  readonly profile: SyncProfile
  readonly tooManyFiles: number
  readonly nameFails: number
  /** A step that takes a turn, rather than none. */
  readonly turns: number
  readonly stepMs: number
  readonly slow: number
  readonly slowMs: number
}

export function diskFaults(
  life: Life,
  chance: Chance,
  rates: () => DiskFaultRates,
  fired: (fault: string) => void,
): FaultPlan {
  return (step) => {
    const current = rates()
    const fault = faultOf(step, chance, current, fired)
    const delayMs = delayOf(step, chance, current, fired)
    return delayMs === undefined ? fault : life.after(delayMs).then(() => fault)
  }
}

function delayOf(
  { kind }: FileStep,
  chance: Chance,
  rates: DiskFaultRates,
  fired: (fault: string) => void,
): number | undefined {
  const works = kind === 'sync' || kind === 'syncDirectory' || kind === 'write'
  if (works && chance.hits(rates.slow)) {
    fired('disk: slow')
    return chance.between(0, rates.slowMs)
  }
  if (kind === 'sync' || chance.hits(rates.turns)) return chance.between(0, rates.stepMs)
  return undefined
}

function faultOf(
  { kind, length }: FileStep,
  chance: Chance,
  rates: DiskFaultRates,
  fired: (fault: string) => void,
): Fault | undefined {
  switch (kind) {
    case 'write':
    case 'zeroFill':
      if (chance.hits(rates.writeEio)) {
        fired('disk: EIO on write')
        return { code: 'EIO', partialBytes: chance.below((length ?? 0) + 1) }
      }
      if (chance.hits(rates.shortWrite)) {
        fired('disk: short write')
        return { code: 'ENOSPC', partialBytes: chance.below((length ?? 0) + 1) }
      }
      if (chance.hits(rates.full)) {
        fired('disk: ENOSPC')
        return { code: 'ENOSPC' }
      }
      return undefined
    case 'sync':
      if (!chance.hits(rates.syncFails)) return undefined
      fired('disk: sync fails')
      fired(`disk: sync fails as on ${rates.profile}`)
      return { code: 'EIO', profile: rates.profile }
    case 'read':
      if (!chance.hits(rates.readEio)) return undefined
      fired('disk: EIO on read')
      return { code: 'EIO' }
    case 'open':
    case 'create':
      if (!chance.hits(rates.tooManyFiles)) return undefined
      fired('disk: EMFILE')
      return { code: 'EMFILE' }
    case 'rename':
    case 'remove':
    case 'syncDirectory':
      if (!chance.hits(rates.nameFails)) return undefined
      fired('disk: EIO on a name')
      return { code: 'EIO' }
    case 'close':
    case 'list':
    case 'lock':
    case 'makeDirectory':
    case 'size':
    case 'truncate':
      return undefined
  }
}
