/** A file journal on memory files, and a listener that writes down what it is told. */

import { silentLogger } from '../../src/base/log.ts'
import type { Random } from '../../src/base/random.ts'
import {
  openFileJournal,
  type FileJournal,
  type FileJournalOptions,
} from '../../src/journal/file-journal.ts'
import type { JournalListener, JournalState } from '../../src/journal/journal.ts'
import type { Entry, Position } from '../../src/mutation/mutation.ts'
import { MemoryFiles } from '../../src/testing/memory-files.ts'
import { ManualClock } from '../support/manual-clock.ts'

export const directory = '/data/journal'

/** A small deterministic generator (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const hex = (length: number): string =>
    Array.from({ length }, () => Math.floor(next() * 16).toString(16)).join('')
  return {
    next,
    uuid: () => [hex(8), hex(4), `4${hex(3)}`, `8${hex(3)}`, hex(12)].join('-'),
  }
}

export class RecordingListener implements JournalListener {
  readonly durableKeys: string[] = []
  readonly undoneKeys: string[] = []
  readonly states: JournalState[] = []
  /** Runs at the start of each `durable`. */
  onDurable: (entries: readonly Entry[]) => void = () => undefined

  durable(entries: readonly Entry[]): void {
    this.onDurable(entries)
    for (const { key } of entries) this.durableKeys.push(key)
  }

  undone(entries: readonly Entry[]): void {
    for (const { key } of entries) this.undoneKeys.push(key)
  }

  changed(state: JournalState): void {
    this.states.push(state)
  }
}

export class JournalFixture {
  files: MemoryFiles
  clock = new ManualClock()
  readonly random: Random
  listener = new RecordingListener()

  constructor(files: MemoryFiles = new MemoryFiles(), seed = 1) {
    this.files = files
    this.random = seededRandom(seed)
  }

  open(options: Partial<FileJournalOptions> = {}): Promise<FileJournal> {
    const { files, clock, random } = this
    return openFileJournal(
      {
        directory,
        lanes: 4,
        segmentBytes: 64 << 10,
        maxBytes: 1 << 20,
        retainBytes: 0,
        listener: this.listener,
        ...options,
      },
      { files, clock, random, logger: silentLogger },
    )
  }

  /** Names of the segments, oldest first. */
  async segments(): Promise<string[]> {
    const names = await this.files.fork().list(directory)
    return names.filter((name) => name.endsWith('.wal')).sort()
  }
}

export function entryOf(key: string, options: { bytes?: number; lane?: number } = {}): Entry {
  return {
    position: 0,
    lane: options.lane ?? 0,
    cache: 'users',
    key,
    hash: 7,
    mutation: { kind: 'set', fields: { text: 'x'.repeat(options.bytes ?? 10) } },
    continues: false,
    expiresAtMs: undefined,
    retryOf: undefined,
    bytes: 0,
  }
}

/** Appends one entry for each key, and waits until they are durable: one batch. */
export async function write(journal: FileJournal, ...keys: string[]): Promise<void> {
  await journal.append(keys.map((key) => entryOf(key))).done
}

/** Keys of a lane, with their positions. */
export async function keysOf(
  journal: FileJournal,
  after: Position = 0,
  lane = 0,
): Promise<Map<Position, string>> {
  const keys = new Map<Position, string>()
  for await (const entries of journal.read(lane, after, journal.durablePosition)) {
    for (const { position, key } of entries) keys.set(position, key)
  }
  return keys
}
