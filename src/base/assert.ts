/** Invariants stay on in production: a broken one must stop the work, never be carried into the store. */

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(`daybook invariant broken: ${message}`)
}

/** For the `default` of a switch over a union: the compiler refuses it unless every member is handled. */
export function unreachable(value: never): never {
  throw new AssertionError(`daybook invariant broken: unexpected value ${String(value)}`)
}
