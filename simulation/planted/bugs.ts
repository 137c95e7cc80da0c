/**
 * Mistakes that real storage systems have made, or that nearly were made here, each as the smallest change of one file.
 * The simulation must find every one: what it cannot find, it does not check.
 */

import type { PlantedBug } from './planting.ts'

const journal: readonly PlantedBug[] = [
  {
    name: 'ack-before-sync',
    file: 'src/journal/writer.ts',
    edits: [
      {
        find: 'await this.#current.file.writeDurably(group.buffer.subarray(0, bytes), this.#offset)',
        replace: 'await this.#current.file.write(group.buffer.subarray(0, bytes), this.#offset)',
      },
    ],
    why: 'Writes are acknowledged once they are written, before they are synced.',
    checkers: [
      'acknowledged writes are in the journal',
      'only what is durable reaches the database',
    ],
  },
  {
    name: 'failed-sync-retried',
    file: 'src/journal/writer.ts',
    edits: [
      {
        find: 'await this.#current.file.writeDurably(group.buffer.subarray(0, bytes), this.#offset)',
        replace:
          'await this.#current.file.writeDurably(group.buffer.subarray(0, bytes), this.#offset).catch(() => this.#current.file.sync())',
      },
    ],
    why: 'A sync that failed is tried again and believed: its pages are clean, and the disk does not have them.',
    checkers: ['acknowledged writes are in the journal', 'recovery succeeds'],
  },
  {
    name: 'journal-goes-on-after-failed-sync',
    file: 'src/journal/writer.ts',
    edits: [
      {
        find: 'else this.#fail(error)',
        replace:
          'else for (const failed of this.#takeUndurable()) failed.fail(diskFullError(this.#options.directory, error))',
      },
    ],
    why: 'A failed sync is answered as a failed write, and the journal goes on in the same place.',
    checkers: [
      'a failed write has no effect',
      'recovery succeeds',
      'the journal has only what was written',
      'acknowledged writes are in the journal',
    ],
  },
  {
    name: 'next-batch-before-sync',
    file: 'src/journal/writer.ts',
    edits: [
      {
        find: 'await this.#current.file.writeDurably(group.buffer.subarray(0, bytes), this.#offset)',
        replace: [
          'const { file } = this.#current',
          'await file.write(group.buffer.subarray(0, bytes), this.#offset)',
          'this.#offset += bytes',
          'this.#link = header.link',
          'this.#inFlight = undefined',
          'this.#pump()',
          'await file.sync()',
        ].join('\n'),
      },
      {
        find: 'if (this.#inFlight === group) this.#committed(group, header, bytes, startedAt)',
        replace: "if (this.#state !== 'failed') this.#committed(group, header, bytes, startedAt)",
      },
      {
        find: 'this.#offset += bytes\n    this.#link = header.link\n    this.#sealed',
        replace: 'this.#sealed',
      },
      { find: '- batchHeaderBytes\n    this.#inFlight = undefined', replace: '- batchHeaderBytes' },
    ],
    why: 'The next batch is written while the one before it is being synced: after a power cut it may be there alone.',
    checkers: [
      'recovery succeeds',
      'acknowledged writes are in the journal',
      'everything drains after the faults',
    ],
  },
  {
    name: 'full-disk-leaves-remains',
    file: 'src/journal/writer.ts',
    edits: [{ find: 'if (writtenBytes > 0) {', replace: 'if (writtenBytes < 0) {' }],
    why: 'A write that a full disk cut short is reported as failed, and what there is of it stays in the file.',
    checkers: ['a failed write has no effect', 'recovery succeeds'],
  },
  {
    name: 'segment-without-directory-sync',
    file: 'src/journal/segment-supply.ts',
    edits: [{ find: 'await files.syncDirectory(directory)\n', replace: '\n' }],
    why: 'A new segment is used before its name is durable: a power cut takes the file with all that was acknowledged in it.',
    checkers: ['acknowledged writes are in the journal', 'recovery succeeds'],
  },
  {
    name: 'segment-header-not-synced',
    file: 'src/journal/segment.ts',
    edits: [
      {
        find: 'await prepared.file.writeDurably(page, 0)',
        replace: 'await prepared.file.write(page, 0)',
      },
    ],
    why: 'A segment gets its name before its header is durable: a power cut leaves a segment without one.',
    checkers: ['recovery succeeds'],
  },
  {
    name: 'directory-lock-ignored',
    file: 'src/journal/file-journal.ts',
    edits: [
      {
        find: 'if (lock === undefined) throw lockedError(directory)',
        replace: 'lock ??= { release: async () => undefined }',
      },
    ],
    why: 'A second process opens a directory that is in use.',
    checkers: [
      'one effective writer',
      'acknowledged writes are in the journal',
      'the journal has only what was written',
      'no unexpected error',
    ],
  },
]

const recovery: readonly PlantedBug[] = [
  {
    name: 'last-batch-not-rewritten',
    file: 'src/journal/recovery.ts',
    edits: [
      {
        find: 'if (tail.last !== undefined) await rewriteLast(files, directory, last, tail.last)',
        replace: '',
      },
    ],
    why: 'After a failed sync the page cache shows a batch that the disk lacks: a recovery that syncs and believes it loses it.',
    checkers: ['acknowledged writes are in the journal', 'recovery succeeds'],
  },
  {
    name: 'damage-cut-as-torn',
    file: 'src/journal/recovery.ts',
    edits: [
      {
        find: 'header !== undefined && header.firstPosition >= tail.nextPosition',
        replace: 'header !== undefined && header.firstPosition < 0',
      },
      { find: 'if (tornBytes > reach) {', replace: 'if (tornBytes > Infinity) {' },
    ],
    why: 'Damage in the middle of the journal is cut like a torn tail, with all that had been acknowledged behind it.',
    checkers: ['acknowledged writes are in the journal'],
  },
  {
    name: 'body-checksum-not-checked',
    file: 'src/journal/reader.ts',
    edits: [{ find: ' || checksum(body) !== header.bodyChecksum', replace: '' }],
    why: 'A record is believed because its header is whole.',
    checkers: [
      'acknowledged writes are in the journal',
      'the database is a prefix of the journal',
      'no unexpected error',
      'recovery succeeds',
      'everything drains after the faults',
      'only what is durable reaches the database',
    ],
  },
  {
    name: 'replay-from-newest-checkpoint',
    file: 'src/flush/flusher.ts',
    edits: [
      {
        find: 'const from = Math.min(...this.lanes.map((lane) => lane.checkpoint))',
        replace: 'const from = Math.max(...this.lanes.map((lane) => lane.checkpoint))',
      },
    ],
    why: 'Recovery begins at the checkpoint of the lane that is furthest on, not at each lane’s own.',
    checkers: [
      'the database is a prefix of the journal',
      'everything drains after the faults',
      'reads show what was acknowledged',
      'results are exact',
      'the journal keeps what the database lacks',
    ],
  },
  {
    name: 'serves-before-replay',
    file: 'src/book/open.ts',
    edits: [
      {
        find: 'await flusher.recover()\n    goOn()\n    flusher.start()',
        replace: 'void flusher.recover().then(() => flusher.start())',
      },
    ],
    why: 'Reads and writes are taken while what is pending is still being indexed.',
    checkers: [
      'reads show what was acknowledged',
      'results are exact',
      'no unexpected error',
      'acknowledged at the level that was asked for',
      'the database is a prefix of the journal',
      'everything drains after the faults',
    ],
  },
]

const store: readonly PlantedBug[] = [
  {
    name: 'rows-outside-transaction',
    file: 'src/store/memory-store.ts',
    edits: [
      {
        find: "await this.#call('write', call, () => work.write(tables))",
        replace: "await this.#call('write', call, () => { work.write(tables); work.commit() })",
      },
    ],
    why: 'Rows are committed as they are written, before the checkpoint: a crash in between applies them twice.',
    checkers: ['the database is a prefix of the journal', 'results are exact'],
  },
  {
    name: 'checkpoint-not-locked',
    file: 'src/store/memory-store.ts',
    edits: [
      {
        find: 'const release = await mutex.acquire(call.signal)',
        replace: 'const release = (): void => void mutex',
      },
    ],
    why: 'A plain read of the checkpoint instead of the locking one: a commit in doubt that is applied later is not seen.',
    checkers: ['the database is a prefix of the journal', 'no unexpected error'],
  },
  {
    name: 'epoch-not-checked',
    file: 'src/store/memory-store.ts',
    edits: [
      {
        find: 'if (found.epoch > this.#epoch) throw fencedError(lane, this.#epoch, found)',
        replace: '',
      },
      {
        find: 'if (held.checkpoint.epoch > checkpoint.epoch) {',
        replace: 'if (held.checkpoint.epoch < 0) {',
      },
    ],
    why: 'A stale process that wakes up after a take-over writes to the database.',
    checkers: ['one effective writer'],
  },
  {
    name: 'replaced-database-not-noticed',
    file: 'src/store/sqlite/sqlite-store.ts',
    edits: [
      {
        find: 'return this.#path === memoryPath || inodeOf(this.#path) === open.inode',
        replace: 'return open !== undefined',
      },
    ],
    why: 'A backup is put in the place of the database file, and the open connection writes to the file that is gone.',
    checkers: [
      'the database is a prefix of the journal',
      'everything drains after the faults',
      'reads show what was acknowledged',
      'acknowledged at the level that was asked for',
      'no unexpected error',
      'dead letters are justified',
    ],
    grade: 'sqlite',
  },
  {
    name: 'refused-statement-kept',
    file: 'src/store/sqlite/sqlite-transaction.ts',
    edits: [{ find: 'ROLLBACK TO daybook_write; RELEASE', replace: 'RELEASE' }],
    why: 'A write that SQLite refused half-way is not rolled back to its savepoint.',
    checkers: ['the database is a prefix of the journal'],
    grade: 'sqlite',
  },
]

const flusher: readonly PlantedBug[] = [
  {
    name: 'memory-budget-not-kept',
    file: 'src/flush/flusher.ts',
    edits: [{ find: 'if (excess <= 0) return', replace: 'if (excess <= 1e9) return' }],
    why: 'Pending batches stay in memory for as long as the database is away.',
    checkers: ['memory is within its budget'],
  },
  {
    name: 'retired-batches-not-in-budget',
    file: 'src/flush/flusher.ts',
    edits: [{ find: 'excess > 0 && freed > 0;', replace: 'false;' }],
    why: 'Batches that are kept for a slow read stay in memory, beyond any budget.',
    checkers: ['memory is within its budget'],
  },
  {
    name: 'other-lanes-not-compared',
    file: 'src/flush/flusher.ts',
    edits: [
      {
        find: 'if (flusher.lane !== lane) flusher.verify()',
        replace: 'if (false) flusher.verify()',
      },
    ],
    why: 'A lane finds the database in the past, and the others, which went back with it, are not looked at.',
    checkers: ['everything drains after the faults', 'the database is a prefix of the journal'],
  },
  {
    name: 'moved-counts-as-pending',
    file: 'src/flush/batch.ts',
    edits: [
      {
        find: '  pass(position: Position): void {',
        replace:
          '  pass(position: Position): void {\n    if (this.first === Infinity) this.first = position',
      },
    ],
    why: 'The places of retried letters hold up rows that wait for a parent: two lanes wait for each other. It was a real bug here.',
    checkers: ['everything drains after the faults'],
  },
  {
    name: 'checkpoint-not-compared',
    file: 'src/flush/lane-flusher.ts',
    edits: [
      {
        find: 'if (position === batch.from) return true',
        replace: 'if (position >= 0) return true',
      },
    ],
    why: 'The checkpoint is read and not compared with the place where the batch begins.',
    checkers: ['the database is a prefix of the journal'],
  },
  {
    name: 'doubtful-commit-taken-as-failed',
    file: 'src/flush/lane-flusher.ts',
    edits: [
      {
        find: 'if (position === batch.from) return true',
        replace: 'if (position === batch.from || position === batch.to) return true',
      },
    ],
    why: 'A commit whose answer was lost is taken as not applied: it is applied again.',
    checkers: [
      'the database is a prefix of the journal',
      'reads show what was acknowledged',
      'results are exact',
    ],
  },
  {
    name: 'doubtful-commit-taken-as-applied',
    file: 'src/flush/lane-flusher.ts',
    edits: [
      {
        find: 'await transaction.commit(batch.to)',
        replace: 'await transaction.commit(batch.to).catch(() => undefined)',
      },
    ],
    why: 'A commit whose answer was lost is taken as applied.',
    checkers: [
      'the database is a prefix of the journal',
      'the journal keeps what the database lacks',
      'acknowledged at the level that was asked for',
      'reads show what was acknowledged',
      'everything drains after the faults',
      'no unexpected error',
    ],
  },
  {
    name: 'goes-on-after-lock-timeout',
    file: 'src/flush/lane-flusher.ts',
    edits: [
      {
        find: 'await transaction.write(tables)',
        replace: [
          'await transaction.write(tables).catch((error: unknown) => {',
          "  if (context.store.classify(error).kind !== 'conflict') throw error",
          '})',
        ].join('\n'),
      },
    ],
    why: 'A lock timeout rolls back the statement only; the transaction goes on without it and commits the checkpoint.',
    checkers: ['the database is a prefix of the journal'],
  },
  {
    name: 'trim-up-to-batch-in-flight',
    file: 'src/flush/flusher.ts',
    edits: [
      {
        find: 'const upTo = Math.min(...this.lanes.map((lane) => lane.checkpoint))',
        replace:
          'const upTo = Math.min(...this.lanes.map((lane) => lane.flushing?.to ?? lane.checkpoint))',
      },
    ],
    why: 'Segments go when the batch that empties them is sent, not when its commit is confirmed.',
    checkers: [
      'the journal keeps what the database lacks',
      'recovery succeeds',
      'no unexpected error',
    ],
  },
  {
    name: 'trim-up-to-fastest-lane',
    file: 'src/flush/flusher.ts',
    edits: [
      {
        find: 'const upTo = Math.min(...this.lanes.map((lane) => lane.checkpoint))',
        replace: 'const upTo = Math.max(...this.lanes.map((lane) => lane.checkpoint))',
      },
    ],
    why: 'The journal is trimmed up to what the furthest lane has in the database, not the slowest.',
    checkers: ['the journal keeps what the database lacks', 'recovery succeeds'],
  },
  {
    name: 'store-level-not-waited-for',
    file: 'src/book/engine.ts',
    edits: [
      {
        find: 'for (const entry of entries) newest.set(entry.lane, entry.position)',
        replace: '',
      },
    ],
    why: 'Durability `store` is reported as soon as the journal has the write.',
    checkers: ['acknowledged at the level that was asked for'],
  },
  {
    name: 'probe-never-given-back',
    file: 'src/flush/breaker.ts',
    edits: [{ find: "if (this.#state === 'probing') this.#enter('open')", replace: '' }],
    why: 'A probe that was given up leaves the breaker probing, and nobody else may ask.',
    checkers: ['everything drains after the faults'],
  },
  {
    name: 'breaker-on-the-wall-clock',
    file: 'src/flush/breaker.ts',
    edits: [
      {
        find: 'this.#nextProbeAt = this.#clock.now() +',
        replace: 'this.#nextProbeAt = this.#clock.wallTime() +',
      },
      {
        find: 'this.#nextProbeAt - this.#clock.now()',
        replace: 'this.#nextProbeAt - this.#clock.wallTime()',
      },
    ],
    why: 'The next probe is due by the wall clock, which jumps back ten years.',
    checkers: ['everything drains after the faults'],
  },
]

const lanes: readonly PlantedBug[] = [
  {
    name: 'coalesced-across-delete',
    file: 'src/mutation/coalesce.ts',
    edits: [
      {
        find: "return { kind: 'set', fields: patchFields(blank, later) }",
        replace: 'return later',
      },
    ],
    why: 'A merge after a delete is coalesced to the merge: the row that was to go stays.',
    checkers: [
      'the database is a prefix of the journal',
      'reads show what was acknowledged',
      'results are exact',
    ],
  },
  {
    name: 'increments-not-summed',
    file: 'src/mutation/coalesce.ts',
    edits: [{ find: '? addAmount(amounts[name] as Amount, amount)', replace: '? amount' }],
    why: 'Of two increments of a column in one batch the later one counts.',
    checkers: [
      'the database is a prefix of the journal',
      'reads show what was acknowledged',
      'results are exact',
    ],
  },
  {
    name: 'atomic-batch-split',
    file: 'src/flush/lane.ts',
    edits: [{ find: '&&\n      !entry.continues', replace: '' }],
    why: 'A full batch is sealed in the middle of an atomic group: half of it commits.',
    checkers: ['a batch is whole or not there'],
  },
  {
    name: 'atomic-batch-split-on-replay',
    file: 'src/flush/lane.ts',
    edits: [{ find: 'full = limit && !batch.inGroup', replace: 'full = limit' }],
    why: 'The same for what is read back from the journal.',
    checkers: ['a batch is whole or not there'],
  },
  {
    name: 'failed-reader-kept',
    file: 'src/flush/lane.ts',
    edits: [
      {
        find: 'if (this.#reader === reader) this.#closeReader()\n      throw error',
        replace: 'throw error',
      },
    ],
    why: 'A read of the journal that failed once is asked again for ever. It was a real bug here: seed 51.',
    checkers: ['everything drains after the faults', 'no unexpected error'],
  },
  {
    name: 'written-during-rebuild-dropped',
    file: 'src/flush/lane.ts',
    edits: [
      {
        find: 'if (this.#rebuilding === undefined && this.#queue.at(-1) instanceof SpilledRange) {',
        replace: 'if (this.#queue.at(-1) instanceof SpilledRange) {',
      },
    ],
    why: 'What becomes durable while a lane is rebuilt joins a range that is about to be replaced. It was a real bug here.',
    checkers: [
      'everything drains after the faults',
      'the database is a prefix of the journal',
      'reads show what was acknowledged',
      'acknowledged at the level that was asked for',
    ],
  },
  {
    name: 'committed-batch-hidden-from-load',
    file: 'src/flush/lane.ts',
    edits: [
      {
        find: 'if (this.#readers.size > 0) this.#retired',
        replace: 'if (this.#readers.size < 0) this.#retired',
      },
    ],
    why: 'A load whose row is older than a commit of meanwhile does not find that batch any more.',
    checkers: ['reads show what was acknowledged', 'results are exact'],
  },
  {
    name: 'spill-index-off-by-one',
    file: 'src/flush/spill-index.ts',
    edits: [{ find: 'position <= upTo) found.push', replace: 'position < upTo) found.push' }],
    why: 'The newest spilled mutation of a lane is not found by a read.',
    checkers: ['reads show what was acknowledged', 'results are exact'],
  },
]

const deadLetters: readonly PlantedBug[] = [
  {
    name: 'whole-batch-dead-lettered',
    file: 'src/flush/careful.ts',
    edits: [
      { find: 'if (end - start === 1) {', replace: 'if (end > start) {' },
      {
        find: 'judgement.reject(unit, failure)',
        replace: 'for (const one of units.slice(start, end)) judgement.reject(one, failure)',
      },
    ],
    why: 'One refused row takes its batch to the dead letters; so do two rows that swap a unique value.',
    checkers: ['dead letters are justified'],
  },
  {
    name: 'second-half-forgotten',
    file: 'src/flush/careful.ts',
    edits: [
      {
        find: 'reached < middle ? reached : apply(middle, end)',
        replace: 'reached < middle ? reached : end',
      },
    ],
    why: 'The bisection of a refused batch looks at its first half only.',
    checkers: ['the database is a prefix of the journal'],
  },
  {
    name: 'dead-letter-after-commit',
    file: 'src/flush/lane-flusher.ts',
    edits: [
      { find: '      await context.deadLetters.add(letters)\n', replace: '' },
      {
        find: 'await transaction.commit(reached)',
        replace: 'await transaction.commit(reached)\n      await context.deadLetters.add(letters)',
      },
    ],
    why: 'The checkpoint passes a mutation whose dead letter is not durable yet.',
    checkers: ['the database is a prefix of the journal', 'nothing is dropped in silence'],
  },
  {
    name: 'dead-letters-not-withdrawn',
    file: 'src/flush/dead-letters.ts',
    edits: [
      {
        find: '(slot) => slot.position > (positions[slot.lane] ?? Infinity)',
        replace: '(slot) => slot.position > Math.max(Infinity, positions.length)',
      },
    ],
    why: 'A dead letter of a transaction that never committed stays, and its mutation is decided again.',
    checkers: [
      'the database is a prefix of the journal',
      'dead letters are justified',
      'dead letters keep the order',
    ],
  },
  {
    name: 'parking-ignored',
    file: 'src/flush/careful.ts',
    edits: [
      { find: 'if (!table.parks(entry.mutation)) return undefined', replace: 'return undefined' },
    ],
    why: 'A merge or an increment is applied although an older one of its key is a dead letter.',
    checkers: ['dead letters keep the order'],
  },
  {
    name: 'retried-letter-not-settled',
    file: 'src/flush/lane-flusher.ts',
    edits: [
      { find: "      await context.deadLetters.settle(result.settled, 'retried')\n", replace: '' },
    ],
    why: 'A dead letter whose retry is in the database can be retried again.',
    checkers: ['dead letters are settled once'],
  },
  {
    name: 'letters-not-synced',
    file: 'src/flush/line-log.ts',
    edits: [
      {
        find: 'await this.#file.writeDurably(bytes, this.#bytes)',
        replace: 'await this.#file.write(bytes, this.#bytes)',
      },
    ],
    why: 'The file of dead letters is written and not synced.',
    checkers: ['the database is a prefix of the journal', 'nothing is dropped in silence'],
  },
]

const reads: readonly PlantedBug[] = [
  {
    name: 'pending-ignored-by-load',
    file: 'src/book/loader.ts',
    edits: [
      {
        find: 'const pending = lane.pendingOf(this.#cache, key, load.hash, checkpoint)',
        replace: 'const pending = { pieces: [], position: 0 }',
      },
    ],
    why: 'A load shows the database’s row without what is pending for it.',
    checkers: ['reads show what was acknowledged', 'results are exact'],
  },
  {
    name: 'stale-fill-wins',
    file: 'src/book/loader.ts',
    edits: [{ find: 'this.#inFlight.get(entry.key)?.writes.push(entry)', replace: 'void entry' }],
    why: 'A load overwrites what was written while it ran.',
    checkers: ['reads show what was acknowledged', 'results are exact'],
  },
  {
    name: 'load-before-journal',
    file: 'src/book/loader.ts',
    edits: [
      {
        find: 'if (journal.lastPosition > journal.durablePosition) {',
        replace: 'if (journal.lastPosition < 0) {',
      },
    ],
    why: 'A load does not wait for writes on their way to the disk, and keeps a value without them.',
    checkers: ['reads show what was acknowledged', 'results are exact'],
  },
  {
    name: 'undurable-value-shown',
    file: 'src/book/cache.ts',
    edits: [
      {
        find: 'if (position <= journal.durablePosition) return true',
        replace: 'if (position >= 0) return true',
      },
    ],
    why: 'A reader sees a value that a crash can still take back.',
    checkers: ['reads show what was acknowledged'],
  },
  {
    name: 'undone-write-stays-cached',
    file: 'src/book/keyspace.ts',
    edits: [
      {
        find: 'for (const key of keys) this.#tier.remove(key)',
        replace: [
          'for (const key of keys) {',
          '  const held = this.#tier.get(key)',
          '  this.#tier.remove(key)',
          '  if (held === undefined) continue',
          '  this.#tier.put(key, held.value, durable, held.expiresAt, held.flat, held.bytes)',
          '}',
        ].join('\n'),
      },
    ],
    why: 'A write that failed for a full disk stays in the tier, as if it were durable.',
    checkers: ['reads show what was acknowledged', 'results are exact'],
  },
  {
    name: 'dead-letter-stays-cached',
    file: 'src/flush/flusher.ts',
    edits: [
      {
        find: 'for (const { entry } of verdicts) this.forget(entry)',
        replace: '',
      },
    ],
    why: 'The tier keeps a value that has become a dead letter, which no restart would show.',
    checkers: ['reads show what was acknowledged', 'results are exact'],
  },
]

export const plantedBugs: readonly PlantedBug[] = [
  ...journal,
  ...recovery,
  ...store,
  ...flusher,
  ...lanes,
  ...deadLetters,
  ...reads,
]
