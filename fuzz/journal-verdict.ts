/**
 * Whether what an open makes of damaged files is right. It is one of
 *
 * - `identical`: all that was acknowledged is there;
 * - `cut`: the journal ends earlier, and not one whole batch stood behind the place: nothing tells such a damage from a
 *   batch that was never acknowledged (docs/journal-format.md, "What this cannot tell");
 * - `begins later`: the oldest segments are gone, as by a trim, and the journal says that it begins behind them;
 * - `refused` at open or at reading: with a code of the table, a file and an offset, and nothing was changed.
 *
 * Anything else is thrown as an error.
 */

import assert from 'node:assert/strict'
import { inspect, isDeepStrictEqual } from 'node:util'
import { isDaybookError, type DaybookError } from '../src/base/errors.ts'
import type { Files } from '../src/base/files.ts'
import type { FileJournal } from '../src/journal/file-journal.ts'
import type { Entry, Position } from '../src/mutation/mutation.ts'
import type { MemoryFiles } from '../src/testing/memory-files.ts'
import { seededRandom } from '../test/journal/journal-fixture.ts'
import {
  contentOf,
  directory,
  entryWith,
  openJournal,
  type JournalImage,
} from './journal-images.ts'

export const outcomes = [
  'identical',
  'cut',
  'begins later',
  'refused at open',
  'refused at reading',
] as const
export type Outcome = (typeof outcomes)[number]

const refusals = ['JOURNAL_CORRUPT', 'JOURNAL_FOREIGN', 'JOURNAL_VERSION']

/** Opens the damaged files, reads everything in every way, writes something, and opens again. */
export async function judgeOpen(image: JournalImage, files: MemoryFiles): Promise<Outcome> {
  const before = await snapshotOf(files)
  const intact = intactBatches(image, before)
  let journal: FileJournal
  try {
    journal = await openJournal(files, directory, seededRandom(99))
  } catch (error) {
    checkRefusal(error)
    assertUnchanged(await snapshotOf(files), before)
    return 'refused at open'
  }
  try {
    const entries = await readEverything(journal)
    const outcome = outcomeOf(image, journal, entries, intact, before)
    if (outcome !== 'identical') await checkCopy(files, journal, before)
    await goOn(journal, files, entries)
    return outcome
  } catch (error) {
    if (!isDaybookError(error)) throw error
    checkRefusal(error)
    await checkOnlyGrown(files, before)
    return 'refused at reading'
  } finally {
    await journal.close()
  }
}

export function checkRefusal(error: unknown): asserts error is DaybookError {
  if (!isDaybookError(error) || !refusals.includes(error.code)) {
    throw new Error('an open failed with another error than a refusal', { cause: error })
  }
  assert.equal(typeof error.details.file, 'string', 'a refusal names the file')
  assert.equal(typeof error.details.offset, 'number', 'a refusal names the offset')
  assert.ok(error.hint !== undefined, 'a refusal says what to do')
}

export type Snapshot = ReadonlyMap<string, Uint8Array>

/** Without the lock, and without unfinished files, which any open removes. */
export async function snapshotOf(files: MemoryFiles): Promise<Snapshot> {
  const snapshot = new Map<string, Uint8Array>()
  for (const name of (await files.list(directory)).sort()) {
    if (name === 'lock' || name.endsWith('.tmp')) continue
    snapshot.set(name, files.contentOf(`${directory}/${name}`))
  }
  return snapshot
}

export function assertUnchanged(after: Snapshot, before: Snapshot): void {
  assert.deepEqual([...after.keys()], [...before.keys()], 'files came or went')
  for (const [name, bytes] of before) {
    const same = Buffer.compare(after.get(name) ?? new Uint8Array(), bytes) === 0
    assert.ok(same, `${name} was changed`)
  }
}

/** By `read`, `scan` and `find`, which must agree. */
async function readEverything(journal: FileJournal): Promise<Entry[]> {
  const entries = await contentOf(journal)
  const scanned: [Position, number, number, number][] = []
  await journal.scan(journal.oldestPosition - 1, (position, lane, hash, bytes) => {
    scanned.push([position, lane, hash, bytes])
  })
  const read = entries.map(({ position, lane, hash, bytes }) => [position, lane, hash, bytes])
  assert.deepEqual(scanned, read, 'scan and read give the same')
  const found = await journal.find(entries.map(({ position }) => position))
  assertSame(found, entries, 'find and read give the same')
  return entries
}

/** Without printing what may be long. */
export function assertSame(
  actual: readonly Entry[],
  expected: readonly Entry[],
  message: string,
): void {
  const length = Math.max(actual.length, expected.length)
  for (let at = 0; at < length; at++) {
    if (isDeepStrictEqual(actual[at], expected[at])) continue
    const shown = [actual[at], expected[at]].map((entry) => inspect(entry).slice(0, 400))
    throw new Error(`${message}: entry ${at} is ${shown[0]} instead of ${shown[1]}`)
  }
}

/** Of each batch of the image, whether the damaged files have it where it was. */
function intactBatches(image: JournalImage, files: Snapshot): boolean[] {
  return image.batches.map(({ file, header, bytes }) => {
    const content = files.get(file)
    // What pads it to the end of its page is not part of it.
    const used = 96 + header.bodyBytes
    const there = content?.subarray(header.offset, header.offset + used)
    return there !== undefined && Buffer.compare(there, bytes.subarray(0, used)) === 0
  })
}

function outcomeOf(
  image: JournalImage,
  journal: FileJournal,
  entries: readonly Entry[],
  intact: readonly boolean[],
  files: Snapshot,
): Outcome {
  const first = image.entries.findIndex(({ position }) => position >= journal.oldestPosition)
  const expected = first < 0 ? [] : image.entries.slice(first, first + entries.length)
  assertSame(entries, expected, 'what is read is what was acknowledged')
  if (first !== 0 && entries.length > 0) {
    const missing = image.segments.filter((name) => !files.has(name))
    const bases = missing.map((name) => Number(name.slice(0, 20)))
    const lost = image.entries.slice(0, Math.max(first, 0))
    for (const { position } of lost) {
      assert.ok(Math.min(...bases) <= position, 'a beginning is skipped whose segment is there')
    }
  }
  const last = entries.at(-1)?.position ?? journal.oldestPosition - 1
  const behind = image.batches.findIndex(
    ({ header }) => header.count > 0 && header.firstPosition > last,
  )
  if (behind >= 0) {
    const whole = intact.findIndex((is, at) => is && at >= behind)
    assert.equal(whole, -1, 'the journal ends before a whole batch')
    return 'cut'
  }
  return first === 0 ? 'identical' : 'begins later'
}

/** What was cut is kept aside, to its last byte that is not zero. */
async function checkCopy(
  files: MemoryFiles,
  journal: FileJournal,
  before: Snapshot,
): Promise<void> {
  const { cut } = journal
  if (cut === undefined) return
  const original = before.get(cut.file.slice(directory.length + 1))
  const bytes = original?.subarray(cut.offset, cut.offset + cut.bytes)
  assert.ok(Buffer.from(files.contentOf(cut.copy)).equals(bytes ?? new Uint8Array()), 'the copy')
}

/** A refusal at reading comes after an open that has sealed: nothing but zeros was overwritten. */
async function checkOnlyGrown(files: MemoryFiles, before: Snapshot): Promise<void> {
  const after = await snapshotOf(files)
  for (const [name, bytes] of before) {
    const now = after.get(name)
    const lost = bytes.findIndex((byte, at) => byte !== 0 && byte !== now?.[at])
    if (lost < 0) continue
    const kept = [...after.keys()].some((copy) => copy.startsWith('torn-') && !before.has(copy))
    assert.ok(kept, `byte ${lost} of ${name} was overwritten, and no copy was kept`)
  }
}

/** The journal takes new writes, and has everything when it is opened again. */
async function goOn(journal: FileJournal, files: Files, entries: readonly Entry[]): Promise<void> {
  const added = entryWith('added', journal.lanes, { kind: 'set', fields: { text: 'after' } })
  await journal.append([added]).done
  await journal.close()
  const again = await openJournal(files, directory, seededRandom(100))
  try {
    assertSame(await contentOf(again), [...entries, added], 'what was written afterwards')
    assert.equal(again.cut, undefined, 'nothing is cut twice')
  } finally {
    await again.close()
  }
}
