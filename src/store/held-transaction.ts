/**
 * A transaction in callback style, held open: the callback waits inside while work is done outside, and ends as it is
 * told.
 */

import { Deferred } from '../base/deadline.ts'

/** Runs the work in a transaction: commits where it resolves, rolls back and rejects where it rejects. */
export type RunTransaction<Transaction> = <Result>(
  work: (transaction: Transaction) => Promise<Result>,
) => Promise<Result>

export class HeldTransaction<Transaction> {
  readonly transaction: Transaction
  readonly #end: Deferred<void>
  readonly #outcome: Promise<unknown>

  private constructor(transaction: Transaction, end: Deferred<void>, outcome: Promise<unknown>) {
    this.transaction = transaction
    this.#end = end
    this.#outcome = outcome
  }

  /** Resolves inside the transaction. Rejects with what `run` does before it has called back. */
  static async begin<Transaction>(
    run: RunTransaction<Transaction>,
  ): Promise<HeldTransaction<Transaction>> {
    const started = new Deferred<Transaction>()
    const end = new Deferred<void>()
    // Where the callback is not there any more, nobody waits for the end.
    end.promise.catch(() => undefined)
    let calls = 0
    const outcome = run(async (transaction) => {
      // A library that runs the callback again after a conflict would commit an empty transaction.
      if (++calls > 1) throw new Error('The transaction was lost, and is not to be run again.')
      started.resolve(transaction)
      await end.promise
    })
    outcome.then(
      () => started.reject(new Error('The transaction ended before it began.')),
      started.reject,
    )
    return new HeldTransaction(await started.promise, end, outcome)
  }

  /** Rejects where the commit failed; the outcome is then as certain as the error says. */
  async commit(): Promise<void> {
    this.#end.resolve()
    await this.#outcome
  }

  /** Never rejects. */
  async rollback(): Promise<void> {
    this.#end.reject(new RolledBack())
    try {
      await this.#outcome
    } catch {
      // What was thrown inside comes out again, or the connection was lost: either way nothing was committed.
    }
  }
}

class RolledBack extends Error {
  override readonly name = 'RolledBack'
}
