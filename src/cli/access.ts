/**
 * A command's way to a directory: through the control socket of the application that has it open, or, where nobody has,
 * by opening it.
 *
 * On a stopped directory, what needs the store (flush, retry, edit) opens the book with it; all else opens only the
 * directory's own files, and changes nothing in the database.
 */

import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../base/clock.ts'
import { DaybookError } from '../base/errors.ts'
import type { Lock } from '../base/files.ts'
import { nodeFiles } from '../base/node-files.ts'
import { ControlClient } from '../control/control-client.ts'
import { type ControlBook, controlMethods, type Params } from '../control/methods.ts'
import { DeadLetters } from '../flush/dead-letters.ts'
import { lockName } from '../journal/segment.ts'
import { openDaybook } from '../open-daybook.ts'
import { sqlitePathOf, storeFromUrl } from '../store/store-url.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './exit-codes.ts'
import { stoppedBook } from './stopped-book.ts'

export interface Access {
  /** `running`: asked through its socket. `opened`: by this command, with the store. `stopped`: its files only. */
  readonly mode: 'running' | 'opened' | 'stopped'
  request(
    method: string,
    params?: Params,
    options?: { readonly timeoutMs?: number },
  ): Promise<unknown>
  close(): Promise<void>
}

export interface AccessNeeds {
  /** `if given`: open the book where the user names a store, else the files. */
  readonly store: 'yes' | 'no' | 'if given'
  readonly url: string | undefined
  /** Without the store: whether files are changed. */
  readonly changes?: true
}

const lettersName = 'dead-letters.log'
/** Long enough for a server that is just restarting, short enough for someone who waits for the answer. */
const openTimeoutMs = 10_000
const defaultDeadlineMs = 30_000

export async function openAccess(
  directory: string,
  needs: AccessNeeds,
  context: CommandContext,
): Promise<Access> {
  await checkDirectory(directory)
  const client = await ControlClient.connect(directory)
  if (client !== undefined) {
    context.signal.addEventListener('abort', () => client.close())
    return {
      mode: 'running',
      request: (method, params, options) => client.request(method, params, options),
      close: async () => client.close(),
    }
  }
  const url = needs.url ?? context.environment['DAYBOOK_STORE']
  if (needs.store === 'no' || (needs.store === 'if given' && url === undefined)) {
    return needs.changes === true ? openFiles(directory, context) : readFiles(directory, context)
  }
  if (url === undefined) {
    throw new UsageError(
      'No application has this directory open, so this command needs the store: give --store sqlite:path or ' +
        'postgres://…, or set DAYBOOK_STORE.',
    )
  }
  await refuseNewDatabase(url)
  const store = await storeFromUrl(url)
  const { signal } = context
  const book = await openDaybook({ directory, store, control: false, openTimeoutMs, signal })
  return accessTo(book, 'opened', context, () =>
    book.close(signal.aborted ? { drainTimeoutMs: 0 } : {}),
  )
}

/**
 * An application has opened the directory, so its database is there. A misspelt path would be made anew, and what the journal
 * still has would be flushed into it.
 */
async function refuseNewDatabase(url: string): Promise<void> {
  const path = sqlitePathOf(url)
  if (path === undefined || (await nodeFiles.size(path)) !== undefined) return
  throw new DaybookError('STORE_MISCONFIGURED', `There is no SQLite database ${path}.`, {
    details: { path },
    hint: 'Give the one that the application writes to.',
  })
}

/** Holds the directory: for what changes its files. */
async function openFiles(directory: string, context: CommandContext): Promise<Access> {
  const lock = await lockDirectory(directory)
  try {
    const letters = await openLetters(join(directory, lettersName))
    return accessTo(stoppedBook(letters), 'stopped', context, async () => {
      await letters?.close()
      await lock.release()
    })
  } catch (error) {
    await lock.release()
    throw error
  }
}

/**
 * Reads a copy: an application that starts meanwhile must not find its directory locked by someone who only looks, and
 * opening its file would cut a line that it is just writing.
 */
async function readFiles(directory: string, context: CommandContext): Promise<Access> {
  const lock = await lockDirectory(directory)
  await lock.release()
  const folder = await mkdtemp(join(tmpdir(), 'daybook-read-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  try {
    const original = join(directory, lettersName)
    const copy = join(folder, lettersName)
    if ((await nodeFiles.size(original)) !== undefined) await copyFile(original, copy)
    const letters = await openLetters(copy)
    return accessTo(stoppedBook(letters), 'stopped', context, async () => {
      await letters?.close()
      await remove()
    })
  } catch (error) {
    await remove()
    throw error
  }
}

/** undefined where there have never been any. */
async function openLetters(path: string): Promise<DeadLetters | undefined> {
  if ((await nodeFiles.size(path)) === undefined) return undefined
  return DeadLetters.open({ files: nodeFiles, path, clock: systemClock })
}

function accessTo(
  book: ControlBook,
  mode: Access['mode'],
  context: CommandContext,
  close: () => Promise<unknown>,
): Access {
  return {
    mode,
    async request(method, params = {}, { timeoutMs = defaultDeadlineMs } = {}) {
      const run = controlMethods.get(method)
      if (run === undefined) throw new Error(`There is no method ${method}.`)
      return await run(book, params, { signal: context.signal, deadlineMs: timeoutMs })
    },
    close: async () => void (await close()),
  }
}

/** Nothing is created in a directory that only looks like one by its name. */
export async function checkDirectory(directory: string): Promise<void> {
  const names = await listDirectory(directory)
  if (names.includes('journal')) return
  throw new DaybookError('JOURNAL_FOREIGN', 'This is not the directory of a daybook.', {
    details: { directory },
    hint: 'Give the directory that the application opens; it has a folder named journal.',
  })
}

async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await nodeFiles.list(directory)
  } catch (error) {
    throw new DaybookError('DIRECTORY_UNUSABLE', 'The directory cannot be read.', {
      cause: error,
      details: { directory },
      hint: 'Check the path, and run the command as the user that runs the application.',
    })
  }
}

/** Throws JOURNAL_LOCKED where an application has the directory open and cannot be asked. */
export async function lockDirectory(directory: string): Promise<Lock> {
  const lock = await nodeFiles.lock(join(directory, 'journal', lockName))
  if (lock !== undefined) return lock
  throw new DaybookError(
    'JOURNAL_LOCKED',
    'Another process has the directory open, and no control socket answers.',
    {
      details: { directory },
      hint: 'If it is just starting, try again; else stop it, or let it open the daybook with control: true.',
    },
  )
}
