/** Scripted histories: together they do everything that leaves something on a disk. */

import { keepsEverything } from '../../src/testing/memory-crash-fates.ts'
import type { FileStep } from '../../src/testing/memory-files.ts'
import type { Run, RunOptions } from './run.ts'

export interface History {
  readonly name: string
  readonly about: string
  readonly options?: RunOptions
  run(run: Run): Promise<void>
}

const isSegment = ({ path }: FileStep): boolean => path.endsWith('.wal')

export const histories: readonly History[] = [
  {
    name: 'first-writes',
    about: 'a new journal, first writes, and segments that follow each other, without a flush',
    options: { flush: { delayMs: 60_000 } },
    async run(run) {
      await run.open()
      await run.write({ key: 'a', kind: 'set' })
      await run.write({ key: 'a', kind: 'increment' })
      for (const key of ['n', 'm', 'n', 'm']) {
        await run.write({ cache: 'notes', key, kind: 'set', bytes: 6_000 })
      }
      await Promise.all([
        run.write({ key: 'b', kind: 'increment' }),
        run.write({ key: 'a', kind: 'merge' }),
      ])
      await run.write({ cache: 'notes', key: 'm', kind: 'delete' })
    },
  },
  {
    name: 'increments',
    about: 'increments of hot and cold keys, flushed in between',
    async run(run) {
      await run.open()
      for (const round of [1, 2, 3]) {
        await Promise.all([
          run.write({ key: 'a', kind: 'increment' }),
          run.write({ key: 'b', kind: 'increment' }),
          run.write({ key: 'c', kind: 'increment' }),
        ])
        await run.write({ key: 'a', kind: 'increment' })
        if (round !== 3) await run.flush()
        else await run.pass(25)
        await run.write({ key: 'a', kind: round === 2 ? 'merge' : 'increment' })
      }
      await run.flush()
    },
  },
  {
    name: 'batches-and-trim',
    about: 'atomic batches over lanes, flushed, and segments that are trimmed',
    async run(run) {
      await run.open()
      for (const [at, bytes] of [3_000, 5_000, 2_000].entries()) {
        await run.batch([
          { cache: 'notes', key: 'n', kind: 'set', bytes },
          { key: 'a', kind: 'increment' },
          { key: 'b', kind: at === 1 ? 'set' : 'increment' },
          { cache: 'notes', key: 'm', kind: 'set', bytes },
        ])
        await run.flush()
      }
      await run.batch([
        { key: 'a', kind: 'merge' },
        { key: 'b', kind: 'delete' },
        { key: 'c', kind: 'increment' },
      ])
      await run.pass(60)
      await run.flush()
    },
  },
  {
    name: 'dead-letters',
    about: 'a row that the database refuses, what is parked behind it, edit, retry and discard',
    async run(run) {
      await run.open()
      await run.write({ key: 'p', kind: 'set', poison: true })
      await run.write({ key: 'p', kind: 'increment' })
      await run.flush()
      await run.write({ key: 'q', kind: 'set', poison: true })
      await run.flush()
      await run.retry('p', true)
      await run.flush()
      await run.discard('q')
      await run.write({ key: 'q', kind: 'set' })
      await run.write({ key: 'p', kind: 'increment' })
      await run.flush()
    },
  },
  {
    name: 'reopen',
    about: 'closed with pending work, opened again, killed, and opened again',
    async run(run) {
      await run.open()
      await run.write({ key: 'a', kind: 'set' })
      await run.write({ key: 'b', kind: 'increment' })
      await run.close({ drain: false })
      await run.open()
      await run.write({ key: 'a', kind: 'increment' })
      await run.pass(60)
      await run.write({ cache: 'notes', key: 'n', kind: 'set', bytes: 5_000 })
      run.kill()
      await run.open()
      await run.write({ key: 'a', kind: 'increment' })
      await run.close({ drain: true })
    },
  },
  {
    name: 'full-disk',
    about: 'writes that find the disk full in the middle, and go on when there is space again',
    async run(run) {
      await run.open()
      await run.write({ key: 'a', kind: 'set' })
      await run.flush()
      run.files.plan = (step) =>
        isSegment(step) && step.kind === 'write'
          ? { code: 'ENOSPC', partialBytes: 3_000 }
          : undefined
      await Promise.all([
        run.write({ key: 'a', kind: 'increment' }),
        run.write({ cache: 'notes', key: 'n', kind: 'set', bytes: 9_000 }),
      ])
      await run.pass(150)
      run.files.plan = ({ kind }) =>
        kind === 'zeroFill' ? { code: 'ENOSPC', partialBytes: 10_000 } : undefined
      await run.pass(400)
      run.files.plan = () => undefined
      await run.pass(1_000)
      await run.write({ key: 'a', kind: 'increment' })
      await run.write({ cache: 'notes', key: 'n', kind: 'set', bytes: 9_000 })
      await run.flush()
    },
  },
  {
    name: 'torn-tail',
    about: 'a power cut tears a batch, and the next open cuts it; then again',
    async run(run) {
      await run.open()
      await run.write({ key: 'a', kind: 'increment' })
      for (const torn of [0, 2]) {
        await cutDuring(run, () =>
          run.write({ cache: 'notes', key: 'n', kind: 'set', bytes: 9_000 }),
        )
        run.losePower({
          ...keepsEverything,
          write: () => ({
            sectorBytes: 4096,
            sector: (index) => (index === torn ? 'dropped' : 'kept'),
          }),
        })
        await run.open()
        await run.write({ key: 'a', kind: 'increment' })
      }
      await run.flush()
    },
  },
  {
    name: 'failed-sync',
    about: 'a sync fails as on ext4, then one as on Btrfs; the process is killed and goes on',
    async run(run) {
      await run.open()
      await run.write({ key: 'a', kind: 'increment' })
      for (const profile of ['ext4-ordered', 'btrfs'] as const) {
        run.files.plan = (step) =>
          isSegment(step) && step.kind === 'sync' ? { code: 'EIO', profile } : undefined
        await run.write({ key: 'a', kind: 'increment' })
        run.kill()
        await run.open()
        await run.write({ key: 'a', kind: 'increment' })
      }
      await run.flush()
    },
  },
]

/** Resolves when the next batch is written and not synced. */
async function cutDuring(run: Run, write: () => Promise<void>): Promise<void> {
  const { files } = run
  const reached = Promise.withResolvers<undefined>()
  files.plan = (step) => {
    if (!isSegment(step) || step.kind !== 'sync') return undefined
    reached.resolve(undefined)
    return new Promise(() => undefined)
  }
  void write()
  await reached.promise
}
