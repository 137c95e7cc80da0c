/**
 * What a payload may grow to while it is read: three bytes of it can stand for 264, and two for an element of a list. It is
 * what one command could have brought, so RESTORE takes no more than RPUSH would.
 */

import { RedisError } from '../redis-error.ts'

export interface ReadLimits {
  /** Of one string that is unpacked. */
  readonly maxBulkBytes: number
  /** Of all that are. */
  readonly maxRequestBytes: number
  /** Elements of the value; a field and its value are two. */
  readonly maxArguments: number
}

export class ReadBudget {
  readonly #limits: ReadLimits
  #bytes = 0
  #elements = 0

  constructor(limits: ReadLimits) {
    this.#limits = limits
  }

  /** Before so many bytes are unpacked. */
  unpack(bytes: number): void {
    if (bytes > this.#limits.maxBulkBytes) throw beyond('maxBulkBytes')
    this.#bytes += bytes
    if (this.#bytes > this.#limits.maxRequestBytes) throw beyond('maxRequestBytes')
  }

  element(): void {
    if (++this.#elements > this.#limits.maxArguments) throw beyond('maxArguments')
  }
}

function beyond(limit: keyof ReadLimits): RedisError {
  return new RedisError(`ERR the value of the payload is beyond redis.${limit}`)
}
