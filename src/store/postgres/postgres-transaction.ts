/** One transaction on one lane, on a connection of its own; see `StoreTransaction`. */

import { assert } from '../../base/assert.ts'
import { fencedError } from '../failure.ts'
import { quoteLiteral } from '../sql.ts'
import type { LaneCheckpoint, StoreTransaction, TableMutations } from '../store.ts'
import type { Position } from '../../mutation/mutation.ts'
import type { BatchWriter } from './batch-writer.ts'
import type { Connection } from './connection.ts'
import type { ConnectionPool } from './connection-pool.ts'
import { classifyPostgresError } from './failures.ts'

export interface LaneIdentity {
  /** Quoted table of the checkpoints. */
  readonly checkpoints: string
  readonly journal: string
  readonly lane: number
  readonly epoch: number
}

const savepoint = 'daybook'

export class PostgresTransaction implements StoreTransaction {
  readonly checkpoint: LaneCheckpoint
  readonly #identity: LaneIdentity
  readonly #pool: ConnectionPool
  readonly #connection: Connection
  readonly #writer: BatchWriter
  readonly #careful: boolean
  readonly #signal: AbortSignal
  /** Statements that must run before the next write: they move the savepoint behind the last one. */
  #beforeWrite = ''
  #over = false

  private constructor(
    checkpoint: LaneCheckpoint,
    identity: LaneIdentity,
    pool: ConnectionPool,
    connection: Connection,
    writer: BatchWriter,
    careful: boolean,
    signal: AbortSignal,
  ) {
    this.checkpoint = checkpoint
    this.#identity = identity
    this.#pool = pool
    this.#connection = connection
    this.#writer = writer
    this.#careful = careful
    this.#signal = signal
  }

  /** Locks the lane's checkpoint, which waits for whoever has it, and reads what is there then. */
  static async begin(
    identity: LaneIdentity,
    pool: ConnectionPool,
    writer: BatchWriter,
    careful: boolean,
    signal: AbortSignal,
  ): Promise<PostgresTransaction> {
    const connection = await pool.acquire(signal)
    try {
      const checkpoint = await lockCheckpoint(connection, identity, careful, signal)
      // prettier-ignore
      return new PostgresTransaction(checkpoint, identity, pool, connection, writer, careful, signal)
    } catch (error) {
      connection.destroy()
      pool.release(connection)
      throw error
    }
  }

  async write(tables: readonly TableMutations[]): Promise<void> {
    assert(!this.#over, 'a transaction is over after its commit or rollback')
    if (!this.#careful) {
      await this.#writer.write(this.#connection, tables, !this.#careful, this.#signal)
      return
    }
    if (this.#beforeWrite !== '') await this.#connection.query(this.#beforeWrite, this.#signal)
    this.#beforeWrite = ''
    try {
      await this.#writer.write(this.#connection, tables, !this.#careful, this.#signal)
      this.#beforeWrite = `RELEASE SAVEPOINT ${savepoint}; SAVEPOINT ${savepoint}`
    } catch (error) {
      if (classifyPostgresError(error).kind === 'rejected') {
        await this.#connection.query(`ROLLBACK TO SAVEPOINT ${savepoint}`, this.#signal)
      }
      throw error
    }
  }

  /**
   * One message for both statements, in one round trip. A message that is long on its way can do no harm: the lock on
   * the checkpoint row was answered in this very transaction, so whoever comes after waits until this one is over, and
   * the server runs the message inside this transaction or, where the connection is gone, not at all.
   */
  async commit(position: Position): Promise<void> {
    assert(!this.#over, 'a transaction is over after its commit or rollback')
    this.#over = true
    const { checkpoints, journal, lane, epoch } = this.#identity
    try {
      const [updated, committed] = await this.#connection.query(
        `UPDATE ${checkpoints} SET position = ${position} WHERE journal = ${quoteLiteral(journal)} AND lane = ${lane} AND epoch = ${epoch}; COMMIT`,
        this.#signal,
      )
      assert(updated?.rowCount === 1, 'the checkpoint row that this transaction locked is there')
      // The server answers ROLLBACK to the commit of a transaction in which something had failed.
      assert(
        committed?.command === 'COMMIT',
        'a transaction commits only after writes that went well',
      )
    } catch (error) {
      this.#connection.destroy()
      throw error
    } finally {
      this.#pool.release(this.#connection)
    }
  }

  async rollback(): Promise<void> {
    if (this.#over) return
    this.#over = true
    try {
      if (!this.#connection.broken) await this.#connection.query('ROLLBACK', this.#signal)
    } catch {
      this.#connection.destroy()
    }
    this.#pool.release(this.#connection)
  }
}

async function lockCheckpoint(
  connection: Connection,
  identity: LaneIdentity,
  careful: boolean,
  signal: AbortSignal,
): Promise<LaneCheckpoint> {
  const { checkpoints, journal, lane, epoch } = identity
  const row = `journal = ${quoteLiteral(journal)} AND lane = ${lane}`
  const lock = `SELECT epoch, position FROM ${checkpoints} WHERE ${row} FOR UPDATE`
  const begin = `BEGIN; ${lock}${careful ? `; SAVEPOINT ${savepoint}` : ''}`
  const [, locked] = await connection.query(begin, signal)
  const found = checkpointOf(locked?.rows[0])
  if (found !== undefined && found.epoch > epoch) throw fencedError(lane, epoch, found)
  if (found?.epoch === epoch) return found
  // The store went back in time, to before the claim: the lane is claimed again, with what it has now.
  const claim = `INSERT INTO ${checkpoints} AS c (journal, lane, epoch, position)
      VALUES (${quoteLiteral(journal)}, ${lane}, ${epoch}, 0)
    ON CONFLICT (journal, lane) DO UPDATE SET epoch = excluded.epoch WHERE c.epoch <= excluded.epoch
    RETURNING epoch, position`
  const move = careful ? `; RELEASE SAVEPOINT ${savepoint}; SAVEPOINT ${savepoint}` : ''
  const [claimed] = await connection.query(claim + move, signal)
  const mine = checkpointOf(claimed?.rows[0])
  if (mine !== undefined) return mine
  // The row was not there a moment ago, and someone with a newer epoch has made it since.
  throw fencedError(lane, epoch, { epoch: epoch + 1, position: 0 })
}

function checkpointOf(row: readonly (string | null)[] | undefined): LaneCheckpoint | undefined {
  if (row === undefined) return undefined
  return { epoch: Number(row[0]), position: Number(row[1]) }
}
