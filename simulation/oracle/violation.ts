/** A guarantee that does not hold. `checker` names the one that found it. */

export type Checker =
  | 'acknowledged writes are in the journal'
  | 'the journal has only what was written'
  | 'a failed write has no effect'
  | 'a batch is whole or not there'
  | 'the database is a prefix of the journal'
  | 'only what is durable reaches the database'
  | 'one effective writer'
  | 'dead letters are justified'
  | 'dead letters keep the order'
  | 'dead letters are settled once'
  | 'nothing is dropped in silence'
  | 'the journal keeps what the database lacks'
  | 'reads show what was acknowledged'
  | 'results are exact'
  | 'acknowledged at the level that was asked for'
  | 'corruption is found'
  | 'memory is within its budget'
  | 'everything drains after the faults'
  | 'recovery succeeds'
  | 'no unexpected error'
  | 'nothing is left behind'

export class Violation extends Error {
  override readonly name = 'Violation'
  readonly checker: Checker

  constructor(checker: Checker, message: string) {
    super(message)
    this.checker = checker
  }
}
