/**
 * How often wrong tokens may come from an address.
 *
 * After the last one that is allowed within a minute, every token from there is refused for a minute, the right one too:
 * else what is held off could go on guessing. What is refused so does not count, so that minute ends. An address of IPv6
 * counts by its /64, which one host has to itself. One address says nothing of another: nobody is locked out by strangers,
 * but by those who share the address, such as all behind a proxy. Bounded: beyond `maxAddresses` the one that failed least
 * lately is forgotten.
 */

import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/log.ts'
import { RequestError } from './request-error.ts'

const windowMs = 60_000
const maxAddresses = 1_000

interface Failures {
  readonly count: number
  /** Monotonic ms; then they are over. */
  readonly endsAt: number
}

export class TokenAttempts {
  maxWrong: number
  readonly #clock: Clock
  readonly #logger: Logger
  /** By address or /64, the one that failed least lately first. */
  readonly #failures = new Map<string, Failures>()

  constructor(maxWrong: number, clock: Clock, logger: Logger) {
    this.maxWrong = maxWrong
    this.#clock = clock
    this.#logger = logger
  }

  /** Before a token is looked at. Throws TOO_MANY_ATTEMPTS. */
  check(address: string): void {
    const failures = this.#failures.get(originOf(address))
    if (failures === undefined || failures.count < this.maxWrong) return
    const restMs = failures.endsAt - this.#clock.now()
    if (restMs <= 0) return
    const retryAfterSeconds = Math.ceil(restMs / 1_000)
    throw new RequestError(
      'TOO_MANY_ATTEMPTS',
      `Too many wrong tokens came from this address. Try again in ${retryAfterSeconds} s.`,
      { retryAfterSeconds },
    )
  }

  /** The token was wrong. */
  failed(address: string): void {
    const origin = originOf(address)
    const now = this.#clock.now()
    const before = this.#failures.get(origin)
    const isNew = before === undefined || before.endsAt <= now
    const count = isNew ? 1 : before.count + 1
    const isLast = count === this.maxWrong
    this.#failures.delete(origin)
    this.#failures.set(origin, { count, endsAt: isNew || isLast ? now + windowMs : before.endsAt })
    if (isLast) {
      this.#logger.warn(
        { address, forMs: windowMs },
        'too many wrong tokens came from an address, which is held off',
      )
    }
    if (this.#failures.size <= maxAddresses) return
    const [oldest] = this.#failures.keys()
    if (oldest !== undefined) this.#failures.delete(oldest)
  }
}

/** What counts as one: an address of IPv4, also where it is written as one of IPv6, and the /64 of one of IPv6. */
function originOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined || !address.includes(':')) return mapped ?? address
  // The lower half does not count, so an address of IPv4 at its end may be any two groups.
  const [plain = ''] = address.replace(/\d+\.\d+\.\d+\.\d+/, '0:0').split('%')
  const [head = '', tail] = plain.split('::')
  const first = groupsOf(head)
  const last = groupsOf(tail ?? '')
  const zeros = new Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0')
  return `${[...first, ...zeros, ...last].slice(0, 4).join(':')}::/64`
}

function groupsOf(text: string): string[] {
  if (text === '') return []
  return text.split(':').map((group) => Number.parseInt(group, 16).toString(16))
}
