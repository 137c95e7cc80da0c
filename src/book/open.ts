/**
 * Opening a book, in an order that makes every interruption harmless:
 *
 * 1. lock the directory and open the journal: sync what is there, cut only an unacknowledged tail;
 * 2. the dead letters;
 * 3. claim the lanes in the store, which fences whoever had them before, and take its checkpoints;
 * 4. compare both ends: a journal or a store that lost data, or is the wrong one, is refused;
 * 5. index what is pending, and only then serve.
 *
 * `signal` of the options stops it at every wait for the store, and between the steps.
 */

import { pause, refuseAborted, waitFor } from '../base/deadline.ts'
import { DaybookError, isDaybookError, reasonOf } from '../base/errors.ts'
import { silentLogger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { DeadLetters } from '../flush/dead-letters.ts'
import { Flusher } from '../flush/flusher.ts'
import { retryDelayMs } from '../flush/retry.ts'
import { openFileJournal } from '../journal/file-journal.ts'
import type { Journal } from '../journal/journal.ts'
import { Events } from '../observe/events.ts'
import type { Claimed, Store } from '../store/store.ts'
import { Daybook } from './daybook.ts'
import { Declarations } from './declarations.ts'
import { EarlierCaches } from './earlier-caches.ts'
import { Engine } from './engine.ts'
import { withLocalCheckpoints } from './local-checkpoints.ts'
import { flusherOptions, readBookOptions, type DaybookOptions } from './options.ts'
import { failureError, storeError } from './store-error.ts'

/** Journals other than local files fit in here. */
export type OpenJournal = (
  options: Parameters<typeof openFileJournal>[0],
  ports: Ports,
) => Promise<Journal>

export async function openBook(
  given: DaybookOptions,
  system: Ports,
  openJournal: OpenJournal = openFileJournal,
): Promise<Daybook> {
  const options = readBookOptions(given)
  const ports: Ports = { ...system, logger: given.logger ?? system.logger ?? silentLogger }
  const own = checkedStore(given.store)
  const store =
    own.capabilities.checkpoints === false
      ? withLocalCheckpoints(own, ports.files, options.directory)
      : own
  const events = new Events(ports.logger)
  const engine = new Engine(ports, options, store, events)
  const { signal } = options
  const goOn = (): void => refuseAborted(signal, opening)
  /** Undone in reverse where opening fails. */
  const opened: (() => Promise<unknown>)[] = []
  try {
    const { directory } = options
    goOn()
    await makeDirectory(ports, directory)
    const journal = await openJournal(
      {
        directory: `${directory}/journal`,
        lanes: options.lanes ?? store.capabilities.concurrency,
        segmentBytes: options.journal.segmentBytes,
        maxBytes: options.journal.maxBytes,
        retainBytes: options.journal.retainBytes,
        listener: engine,
      },
      ports,
    )
    engine.use({ journal })
    opened.push(() => journal.close())
    refuseOtherLanes(journal, options.lanes)
    goOn()

    const deadLetters = await DeadLetters.open({
      files: ports.files,
      path: `${directory}/dead-letters.log`,
      clock: ports.clock,
      maxBytes: options.deadLetterBytes,
    })
    engine.use({ deadLetters })
    opened.push(() => deadLetters.close())
    const declarations = await Declarations.open(ports.files, directory)
    const earlier = new EarlierCaches(engine, declarations)
    goOn()

    opened.push(() => store.close())
    const claimed = await claim(engine, journal)
    refuseGap(journal, claimed)
    await deadLetters.withdrawBeyond(claimed.positions)
    goOn()

    const flusher = new Flusher({
      ports,
      journal: () => engine.journal,
      store,
      deadLetters,
      events,
      tables: engine.tables,
      checkpoints: claimed.positions,
      onPressure: () => engine.notePressure(),
      onUndeclared: (cache) => void earlier.describeAgain(cache),
      forget: (cache, key) => engine.keyspaces.get(cache)?.forget(key),
      options: flusherOptions(options),
    })
    engine.use({ flusher })
    // What is written from here on would end in a journal that nobody reads any more.
    events.on('fenced', () => engine.writer.close(flusher.fencedError()))
    await earlier.describeAll(signal)
    goOn()
    await flusher.recover()
    goOn()
    flusher.start()
    return new Daybook(engine, declarations)
  } catch (error) {
    for (const undo of opened.reverse()) {
      // The first error is the one that the caller can act on.
      await undo().catch((second: unknown) => {
        ports.logger.warn(
          { reason: reasonOf(second) },
          'something could not be closed after opening failed',
        )
      })
    }
    throw error
  }
}

async function makeDirectory(ports: Ports, directory: string): Promise<void> {
  try {
    await ports.files.makeDirectory(directory)
  } catch (error) {
    throw new DaybookError(
      'DIRECTORY_UNUSABLE',
      `${directory} cannot be created: ${reasonOf(error)}.`,
      {
        cause: error,
        details: { directory },
        hint: 'Choose a directory that this user may write to.',
      },
    )
  }
}

function refuseOtherLanes(journal: Journal, wanted: number | undefined): void {
  if (wanted === undefined || wanted === journal.lanes) return
  throw new DaybookError(
    'INVALID_OPTION',
    `The journal has ${journal.lanes} lanes, not ${wanted}.`,
    {
      details: { path: 'lanes', lanes: journal.lanes },
      hint: 'Lanes are fixed when a journal is created: leave `lanes` out, or flush and begin a new directory.',
    },
  )
}

/** Completes "… was aborted". */
const opening = 'Opening the book'

/** Tries for as long as `openTimeoutMs` says; only an outage is waited for. */
async function claim(engine: Engine, journal: Journal): Promise<Claimed> {
  const { ports, store, options } = engine
  const { signal } = options
  const startedAt = ports.clock.now()
  const limits = { baseMs: options.flush.retryBaseMs, maxMs: options.flush.retryMaxMs }
  for (let attempt = 1; ; attempt++) {
    const leftMs = options.openTimeoutMs - (ports.clock.now() - startedAt)
    const abort = new AbortController()
    try {
      return await waitFor(
        store.open(
          { journal: journal.id, lanes: journal.lanes, epoch: journal.epoch },
          { signal: abort.signal },
        ),
        {
          clock: ports.clock,
          timeoutMs: Math.max(1, leftMs),
          signal,
          what: `Opening ${store.name}`,
        },
      )
    } catch (error) {
      abort.abort()
      const known = isDaybookError(error)
      const failure = known ? undefined : store.classify(error)
      const away = known
        ? error.code === 'STORE_UNAVAILABLE'
        : failure?.kind === 'outage' || failure?.kind === 'conflict'
      const delayMs = retryDelayMs(attempt, limits, ports.random)
      if (!away || ports.clock.now() - startedAt + delayMs >= options.openTimeoutMs) {
        throw failure === undefined ? storeError(store, error) : failureError(store, failure, error)
      }
      if (attempt === 1) {
        const { openTimeoutMs } = options
        const code = failure?.code ?? 'STORE_UNAVAILABLE'
        ports.logger.warn({ store: store.name, code, openTimeoutMs }, 'the database is awaited')
      }
      await pause(delayMs, { clock: ports.clock, signal, what: opening })
    }
  }
}

/** Both ends must meet: every mutation is in the store or in the journal. */
function refuseGap(journal: Journal, claimed: Claimed): void {
  for (const [lane, position] of claimed.positions.entries()) {
    const details = {
      lane,
      checkpoint: position,
      oldestPosition: journal.oldestPosition,
      lastPosition: journal.lastPosition,
    }
    if (position > journal.lastPosition) {
      throw new DaybookError(
        'JOURNAL_GAP',
        `The store has lane ${lane} at position ${position}, and the journal ends at ${journal.lastPosition}: the journal lost its end, or is an older copy.`,
        { details, hint: 'Put the right journal directory in place.' },
      )
    }
    if (position + 1 < journal.oldestPosition) {
      throw new DaybookError(
        'JOURNAL_GAP',
        `The store has lane ${lane} at position ${position}, and the journal begins at ${journal.oldestPosition}: the store lost what lies between, or is the wrong one.`,
        {
          details,
          hint: 'Restore a newer backup of the database, or point the book at the right one.',
        },
      )
    }
  }
}

function checkedStore(store: Store): Store {
  const methods = ['open', 'describe', 'load', 'keys', 'begin', 'classify', 'close'] as const
  const missing = methods.filter((method) => typeof store[method] !== 'function')
  if (missing.length === 0) return store
  throw new DaybookError(
    'INVALID_OPTION',
    `Option store is not a store: it lacks ${missing.join(', ')}.`,
    {
      details: { path: 'store' },
      hint: 'Use sqlite(…), postgres(…), memoryStore() or customStore(…).',
    },
  )
}
