/**
 * Journals as the engine leaves them on a disk, and what is in them: what the journal targets damage.
 *
 * Each is made from its seed alone: some were closed, some died with their last batch unsealed, one was written through
 * the real file system. Older states of their files are kept: a disk may give one of those back.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Files } from '../src/base/files.ts'
import { hashText } from '../src/base/hash.ts'
import { silentLogger } from '../src/base/log.ts'
import { nodeFiles } from '../src/base/node-files.ts'
import type { Ports } from '../src/base/ports.ts'
import type { Random } from '../src/base/random.ts'
import { openFileJournal, type FileJournal } from '../src/journal/file-journal.ts'
import { batchBytes, pageBytes, type BatchHeader } from '../src/journal/format.ts'
import type { Journal, JournalListener } from '../src/journal/journal.ts'
import { scanChunkBytes, SegmentWalker } from '../src/journal/reader.ts'
import { listSegments } from '../src/journal/recovery.ts'
import { entryHash, laneOf } from '../src/mutation/entry-hash.ts'
import type { Entry, FieldValue, Mutation } from '../src/mutation/mutation.ts'
import { MemoryFiles } from '../src/testing/memory-files.ts'
import { seededRandom } from '../test/journal/journal-fixture.ts'
import { ManualClock } from '../test/support/manual-clock.ts'

export const directory = '/data/journal'

/** Where one batch is. */
export interface PlacedBatch {
  /** Name of the segment's file. */
  readonly file: string
  readonly header: BatchHeader
  readonly bytes: Uint8Array
}

export interface JournalImage {
  readonly name: string
  /** In `directory`; never changed: work on a fork. */
  readonly files: MemoryFiles
  /** Names of the segments, oldest first. */
  readonly segments: readonly string[]
  /** In the order of the journal. */
  readonly batches: readonly PlacedBatch[]
  /** All that was acknowledged and not trimmed, by position. */
  readonly entries: readonly Entry[]
  /** Earlier contents of the segments, by name. */
  readonly older: ReadonlyMap<string, readonly Uint8Array[]>
}

/** Eight journals with several segments, epochs and lanes; the same for every run. */
export async function journalImages(): Promise<readonly JournalImage[]> {
  images ??= makeImages()
  return images
}

let images: Promise<readonly JournalImage[]> | undefined

async function makeImages(): Promise<JournalImage[]> {
  const made: JournalImage[] = []
  for (let seed = 1; seed <= 7; seed++) made.push(await imageInMemory(seed))
  made.push(await imageOnDisk(8))
  return made
}

async function imageInMemory(seed: number): Promise<JournalImage> {
  const files = new MemoryFiles()
  const snapshot = async (): Promise<MemoryFiles> => files.fork()
  return imageOf(`seed ${seed}`, await writeHistory(files, directory, seed, snapshot))
}

/** The same, through the real file system. */
async function imageOnDisk(seed: number): Promise<JournalImage> {
  const root = mkdtempSync(join(tmpdir(), 'daybook-fuzz-'))
  try {
    const home = join(root, 'journal')
    const snapshot = (): Promise<MemoryFiles> => inMemory(nodeFiles, home)
    return await imageOf(
      `seed ${seed}, on disk`,
      await writeHistory(nodeFiles, home, seed, snapshot),
    )
  } finally {
    rmSync(root, { recursive: true })
  }
}

async function inMemory(files: Files, home: string): Promise<MemoryFiles> {
  const copy = new MemoryFiles()
  for (const name of await files.list(home)) {
    const bytes = await files.read(join(home, name), 1 << 20)
    if (name.endsWith('.wal') && bytes !== undefined) copy.place(`${directory}/${name}`, bytes)
  }
  return copy
}

interface History {
  readonly entries: readonly Entry[]
  /** What the disk had at some moments, the last one at the end. */
  readonly states: readonly MemoryFiles[]
}

const segmentBytes = 32 << 10

export const quiet: JournalListener = { durable: () => undefined, undone: () => undefined }

export function openJournal(
  files: Files,
  home: string,
  random: Random,
  lanes = 3,
): Promise<FileJournal> {
  const ports: Ports = { files, clock: new ManualClock(), random, logger: silentLogger }
  const limits = { segmentBytes, maxBytes: 16 << 20, retainBytes: 0 }
  return openFileJournal({ directory: home, lanes, ...limits, listener: quiet }, ports)
}

/**
 * Three lives of a journal. Of an odd seed the last one ends with a close, which seals; of the others with a power cut,
 * in the middle of a batch where the seed is not a multiple of four.
 */
async function writeHistory(
  files: Files,
  home: string,
  seed: number,
  snapshot: () => Promise<MemoryFiles>,
): Promise<History> {
  const random = seededRandom(seed)
  const lanes = 1 + Math.floor(random.next() * 4)
  const entries: Entry[] = []
  const states: MemoryFiles[] = []
  for (let life = 1; life <= 3; life++) {
    const journal = await openJournal(files, home, random, lanes)
    const batches = 3 + Math.floor(random.next() * 5)
    for (let batch = 0; batch < batches; batch++) {
      const batchEntries = someEntries(random, lanes)
      await journal.append(batchEntries).done
      entries.push(...batchEntries)
      if (random.next() < 0.3) states.push(await snapshot())
    }
    if (life === 2 && seed % 4 === 1) {
      await journal.trim(entries[entries.length >> 1]?.position ?? 0)
    }
    if (life === 3 && seed % 2 === 0) {
      const before = await snapshot()
      const torn = entryWith('torn', lanes, { kind: 'set', fields: { text: 'x'.repeat(9_000) } })
      await journal.append([torn]).done
      states.push(seed % 4 === 0 ? before : await tornAfter(before, await snapshot()))
    }
    await journal.close()
    if (seed % 2 === 1) states.push(await snapshot())
  }
  return { entries, states }
}

/** The later state without the end of what was written since the earlier one. */
async function tornAfter(earlier: MemoryFiles, later: MemoryFiles): Promise<MemoryFiles> {
  for (const name of await later.list(directory)) {
    const path = `${directory}/${name}`
    const after = later.contentOf(path)
    const known = (await earlier.size(path)) !== undefined
    const before = known ? earlier.contentOf(path) : new Uint8Array(after.length)
    const start = after.findIndex((byte, at) => at >= pageBytes && byte !== before[at])
    if (start >= 0) later.place(path, after.fill(0, start + 5_000))
  }
  return later
}

function someEntries(random: Random, lanes: number): Entry[] {
  const count = 1 + Math.floor(random.next() * 4)
  const sizes = [0, 10, 200, 3_000, 9_000]
  return Array.from({ length: count }, (_, index) => {
    const key = `k${Math.floor(random.next() * 20)}`
    const bytes = sizes[Math.floor(random.next() * sizes.length)] ?? 0
    return entryWith(key, lanes, someMutation(random, bytes), {
      continues: index < count - 1 && random.next() < 0.2,
      expiresAtMs: random.next() < 0.1 ? Math.floor(random.next() * 2e12) : undefined,
      retryOf: random.next() < 0.1 ? `0-${Math.floor(random.next() * 99)}` : undefined,
    })
  })
}

export function entryWith(
  key: string,
  lanes: number,
  mutation: Mutation,
  rest: Partial<Entry> = {},
): Entry {
  const hash = entryHash(hashText('users'), hashText(key))
  const lane = laneOf(hashText(key), lanes)
  const fixed = { position: 0, bytes: 0, continues: false, expiresAtMs: undefined }
  return { ...fixed, retryOf: undefined, lane, cache: 'users', key, hash, mutation, ...rest }
}

function someMutation(random: Random, bytes: number): Mutation {
  const text = 'x'.repeat(bytes)
  const chance = random.next()
  if (chance < 0.1) return { kind: 'delete' }
  if (chance < 0.3) {
    return { kind: 'patch', fields: {}, amounts: { visits: 2n ** 60n, score: '0.50' } }
  }
  if (chance < 0.4) return { kind: 'patch', fields: { text }, amounts: { visits: 1 } }
  const photo: FieldValue = new Uint8Array([0, 255, Math.floor(random.next() * 256)])
  const fields = chance < 0.6 ? { text, photo, ratio: -0 } : { text, $tag: { nested: [1, null] } }
  return chance < 0.8 ? { kind: 'set', fields } : { kind: 'patch', fields, amounts: {} }
}

async function imageOf(name: string, { entries, states }: History): Promise<JournalImage> {
  const files = states.at(-1)
  if (files === undefined) throw new Error('a history has a last state')
  const names = await files.list(directory)
  for (const other of names) {
    if (!other.endsWith('.wal')) await files.remove(`${directory}/${other}`)
  }
  const { segments } = await listSegments(files, directory, names)
  const batches: PlacedBatch[] = []
  for (const segment of segments) {
    const end = segment.header.bytes
    const walker = await SegmentWalker.open(files, segment, { end, chunkBytes: scanChunkBytes })
    const content = files.contentOf(segment.path)
    for (let batch; (batch = await walker.next()) !== undefined;) {
      const { header } = batch
      const bytes = content.slice(header.offset, header.offset + batchBytes(header.bodyBytes))
      batches.push({ file: segment.name, header, bytes })
    }
    await walker.close()
  }
  const oldest = segments[0]?.header.base ?? 1
  const older = new Map<string, Uint8Array[]>()
  for (const state of states.slice(0, -1)) {
    for (const { name, path } of segments) {
      if ((await state.size(path)) === undefined) continue
      older.set(name, [...(older.get(name) ?? []), state.contentOf(path)])
    }
  }
  return {
    name,
    files,
    segments: segments.map((segment) => segment.name),
    batches,
    entries: entries.filter(({ position }) => position >= oldest),
    older,
  }
}

/** Every entry that the journal gives: by lane, in order of positions. Throws what reading throws. */
export async function contentOf(journal: Journal): Promise<Entry[]> {
  const entries: Entry[] = []
  for (let lane = 0; lane < journal.lanes; lane++) {
    const after = journal.oldestPosition - 1
    for await (const chunk of journal.read(lane, after, journal.durablePosition)) {
      entries.push(...chunk)
    }
  }
  return entries.sort((a, b) => a.position - b.position)
}
