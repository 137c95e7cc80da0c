/**
 * Checkpoints for a store that cannot keep its own: a file in the book's directory, replaced after each batch.
 *
 * Rows and checkpoint are then not one transaction: a crash between the two applies a batch again. This is what makes
 * such a store at-least-once, and why it only gets whole rows and deletes, which may be applied twice.
 */

import { DaybookError, reasonOf } from '../base/errors.ts'
import { fileError } from '../base/file-error.ts'
import type { Files } from '../base/files.ts'
import type { Position } from '../mutation/mutation.ts'
import type { TableSchema } from '../store/schema.ts'
import type { Claimed, Loaded, Store, StoreTransaction } from '../store/store.ts'
import { isMembers, parseState, writeState } from './state-file.ts'

const fileName = 'checkpoints.json'
const maxFileBytes = 1024 * 1024

/** The store as it is, but for its checkpoints, which live in `checkpoints.json`. */
export function withLocalCheckpoints(inner: Store, files: Files, directory: string): Store {
  const checkpoints = new CheckpointFile(files, directory)
  let epoch = 0
  return {
    name: inner.name,
    capabilities: inner.capabilities,
    async open(claim, call): Promise<Claimed> {
      ;({ epoch } = await inner.open(claim, call))
      return { epoch, positions: await checkpoints.open(claim.journal, claim.lanes) }
    },
    describe: (request, call) => inner.describe(request, call),
    async load(schema: TableSchema, cache, keys, call): Promise<Loaded> {
      // From before the load: what is applied meanwhile is laid over the rows again, which changes nothing.
      const positions = checkpoints.positions
      return { rows: (await inner.load(schema, cache, keys, call)).rows, positions }
    },
    keys: (schema, cache, after, limit, call) => inner.keys(schema, cache, after, limit, call),
    async begin(lane, mode, call): Promise<StoreTransaction> {
      const transaction = await inner.begin(lane, mode, call)
      return {
        checkpoint: { epoch, position: checkpoints.positions[lane] ?? 0 },
        write: (tables) => transaction.write(tables),
        async commit(position) {
          await transaction.commit(position)
          await checkpoints.move(lane, position)
        },
        rollback: () => transaction.rollback(),
      }
    },
    expired: (cache, nowMs, limit, call) => inner.expired(cache, nowMs, limit, call),
    classify: (error) => inner.classify(error),
    close: () => inner.close(),
  }
}

class CheckpointFile {
  positions: readonly Position[] = []
  readonly #files: Files
  readonly #directory: string
  #journal = ''
  /** Lanes commit side by side; the file is replaced by one at a time. */
  #turn: Promise<void> = Promise.resolve()

  constructor(files: Files, directory: string) {
    this.#files = files
    this.#directory = directory
  }

  get #path(): string {
    return `${this.#directory}/${fileName}`
  }

  async open(journal: string, lanes: number): Promise<readonly Position[]> {
    this.#journal = journal
    const bytes = await this.#files.read(this.#path, maxFileBytes).catch((error: unknown) => {
      throw fileError(this.#path, error)
    })
    this.positions =
      bytes === undefined ? new Array<number>(lanes).fill(0) : this.#parse(bytes, lanes)
    return this.positions
  }

  move(lane: number, position: Position): Promise<void> {
    this.positions = this.positions.map((old, at) => (at === lane ? position : old))
    const written = this.#turn.then(() => this.#write())
    // Who comes next writes everything anew; this one's caller gets the error.
    this.#turn = written.catch(() => undefined)
    return written
  }

  #parse(bytes: Uint8Array, lanes: number): Position[] {
    try {
      const content = parseState(bytes)
      const { journal, positions } = isMembers(content) ? content : {}
      if (journal !== this.#journal) throw new Error('it belongs to another journal')
      if (!arePositions(positions, lanes)) {
        throw new Error('its positions are not those of the lanes')
      }
      return [...positions]
    } catch (error) {
      throw new DaybookError(
        'JOURNAL_CORRUPT',
        `${this.#path} cannot be used: ${reasonOf(error)}.`,
        {
          cause: error,
          details: { file: this.#path },
          hint: 'Move it away: then everything that the journal retains is applied again.',
        },
      )
    }
  }

  #write(): Promise<void> {
    const content = { journal: this.#journal, positions: this.positions }
    return writeState(this.#files, this.#directory, fileName, content)
  }
}

function arePositions(value: unknown, lanes: number): value is readonly Position[] {
  return (
    Array.isArray(value) &&
    value.length === lanes &&
    value.every((position) => Number.isSafeInteger(position) && position >= 0)
  )
}
