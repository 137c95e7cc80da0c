/** Targets: damaged and forged journals, and what the commands for them make of those. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { isDaybookError } from '../../src/base/errors.ts'
import type { Files } from '../../src/base/files.ts'
import { nodeFiles } from '../../src/base/node-files.ts'
import { repairJournal } from '../../src/journal/repair.ts'
import { inspectJournal, verifyJournal } from '../../src/journal/verify.ts'
import type { MemoryFiles } from '../../src/testing/memory-files.ts'
import { seededRandom } from '../../test/journal/journal-fixture.ts'
import { fuzzTarget } from '../fuzz-target.ts'
import { doDamage, journalDamage, pick } from '../journal-damage.ts'
import { alone, forged, forgedSegment, forgery, type Forgery } from '../journal-forgery.ts'
import {
  contentOf,
  directory,
  journalImages,
  openJournal,
  type JournalImage,
} from '../journal-images.ts'
import { checkRefusal, judgeOpen, outcomes, snapshotOf } from '../journal-verdict.ts'

const damages = fc.array(journalDamage, { minLength: 1, maxLength: 3 })
const damagedJournal = fc.record({ image: fc.nat(99), damages })
type DamagedJournal = typeof damagedJournal extends fc.Arbitrary<infer Case> ? Case : never

async function imageAndFiles(given: DamagedJournal): Promise<[JournalImage, MemoryFiles]> {
  const images = await journalImages()
  const image = pick(images, given.image)
  const files = image.files.fork()
  for (const damage of given.damages) await doDamage(files, damage, image, images)
  // Where no file of it is left, it is no journal or another one: only the store's checkpoints can tell.
  const left = await files.list(directory)
  fc.pre(image.segments.some((name) => left.includes(name)))
  return [image, files]
}

export const journalDamageTarget = fuzzTarget(damagedJournal, {
  name: 'journal-damage',
  doc: 'A damaged journal opens with all that was acknowledged, or is refused; only what nothing stands behind is cut.',
  cases: 1_000,
  outcomes,
  check: async (given) => judgeOpen(...(await imageAndFiles(given))),
})

/** The real file system, with real threads and a real lock, for some of them. */
export const journalOnDiskTarget = fuzzTarget(damagedJournal, {
  name: 'journal-on-disk',
  doc: 'What a damaged journal comes to is the same on a disk as in memory.',
  cases: 40,
  outcomes: ['served', 'refused'],
  check: async (given) => {
    const [image, files] = await imageAndFiles(given)
    const root = mkdtempSync(join(tmpdir(), 'daybook-fuzz-'))
    try {
      for (const name of await files.list(directory)) {
        writeFileSync(join(root, name), files.contentOf(`${directory}/${name}`))
      }
      const inMemory = await judgeOpen(image, files)
      const onDisk = await typed(() => readAll(nodeFiles, root))
      assert.equal(onDisk === undefined, inMemory.startsWith('refused'), 'the same on a disk')
      return onDisk === undefined ? 'refused' : 'served'
    } finally {
      rmSync(root, { recursive: true })
    }
  },
})

export const journalRepairTarget = fuzzTarget(damagedJournal, {
  name: 'journal-repair',
  doc: 'Verify finds damage just where an open refuses; a repair keeps all before it, copies the rest, and opens.',
  cases: 300,
  outcomes: ['nothing to repair', 'repaired', 'refused'],
  check: async (given) => {
    const [image, files] = await imageAndFiles(given)
    const opened = await judgeOpen(image, files.fork())
    const report = await verifyJournal(directory, files)
    assert.equal(report.damage !== undefined, opened.startsWith('refused'), 'verify and open agree')
    const before = await snapshotOf(files)
    try {
      const { firstLost } = await repairJournal(directory, files)
      const { copies } = await repairJournal(directory, files, { acceptLossFrom: firstLost })
      if (report.damage === undefined) return 'nothing to repair'
      await checkRepaired(image, files, firstLost)
      const after = await snapshotOf(files)
      for (const copy of copies) assert.ok(after.has(copy.slice(directory.length + 1)), 'a copy')
      for (const name of before.keys()) {
        const kept = after.has(name) || after.has(`damaged-${name}.bin`)
        assert.ok(kept, `${name} is kept, cut or aside`)
      }
      return 'repaired'
    } catch (error) {
      checkRefusal(error)
      return 'refused'
    }
  },
})

async function checkRepaired(
  image: JournalImage,
  files: MemoryFiles,
  firstLost: number,
): Promise<void> {
  assert.equal((await verifyJournal(directory, files)).damage, undefined, 'nothing is left damaged')
  const journal = await openJournal(files, directory, seededRandom(7))
  try {
    const kept = image.entries.filter(
      ({ position }) => position < firstLost && position >= journal.oldestPosition,
    )
    assert.deepEqual(
      (await contentOf(journal)).map(({ position, key }) => [position, key]),
      kept.map(({ position, key }) => [position, key]),
      'all before the damage is kept',
    )
  } finally {
    await journal.close()
  }
}

const forgedJournal = fc.record({
  image: fc.nat(99),
  forgeries: fc.array(forgery, { minLength: 1, maxLength: 2 }),
  /** Nothing stands behind the first forged batch. */
  alone: fc.boolean(),
})

export const journalForgeryTarget = fuzzTarget(forgedJournal, {
  name: 'journal-forgery',
  doc: 'Whatever headers and records say, with right checksums, ends in an answer or in an error with a code.',
  cases: 500,
  outcomes: ['opened', 'refused'],
  check: async (given) => {
    const image = pick(await journalImages(), given.image)
    const files = image.files.fork()
    for (const forgery of given.forgeries) await forge(files, image, forgery, given.alone)
    // No length that a file declares makes a read larger than a chunk or the file.
    files.plan = ({ kind, length = 0 }) => {
      assert.ok(kind !== 'read' || length <= 1 << 20, `a read of ${length} bytes`)
      return undefined
    }
    await inspectJournal(directory, files)
    const { damage } = await verifyJournal(directory, files)
    await typed(() => repairJournal(directory, files))
    const opened = await typed(() => readAll(files, directory))
    // Hashes are only compared by verify.
    const refused = damage !== undefined && !damage.reason.includes('hash')
    assert.ok(opened === undefined || !refused, `served, although ${damage?.reason}`)
    return opened === undefined ? 'refused' : 'opened'
  },
})

async function forge(
  files: MemoryFiles,
  image: JournalImage,
  forgery: Forgery,
  isAlone: boolean,
): Promise<void> {
  const change = (name: string, to: (content: Uint8Array) => Uint8Array): void => {
    const path = `${directory}/${name}`
    const content = files.view(path)
    if (content !== undefined) files.place(path, to(content))
  }
  if (forgery.kind === 'segment header') {
    change(pick(image.segments, forgery.segment), (content) =>
      forgedSegment(forgery.edits, content),
    )
    return
  }
  const batch = pick(image.batches, forgery.batch)
  change(batch.file, (content) => {
    const bytes = forged(forgery, content, batch)
    return isAlone ? alone(bytes, batch) : bytes
  })
  if (!isAlone) return
  const behind = image.segments.slice(image.segments.indexOf(batch.file) + 1)
  for (const name of behind) await files.remove(`${directory}/${name}`)
}

async function readAll(files: Files, home: string): Promise<true> {
  const journal = await openJournal(files, home, seededRandom(9))
  try {
    const entries = await contentOf(journal)
    let last = journal.oldestPosition - 1
    for (const { position, lane } of entries) {
      assert.ok(Number.isSafeInteger(position) && position > last, 'positions grow')
      assert.ok(lane < journal.lanes, 'a lane that there is')
      last = position
    }
    await journal.scan(journal.oldestPosition - 1, (position, lane) => {
      assert.ok(Number.isSafeInteger(position) && lane < journal.lanes, 'a scanned record')
    })
    await journal.find(entries.map(({ position }) => position))
  } finally {
    await journal.close()
  }
  return true
}

/** undefined where it failed with a code; other errors are passed on. */
async function typed<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isDaybookError(error)) return undefined
    throw error
  }
}
