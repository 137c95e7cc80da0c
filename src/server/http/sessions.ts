/**
 * Who may use the server: those who know the token, and the browsers that have shown it once.
 *
 * A browser gets a cookie with a random id in place of the token, which it would otherwise have to keep where scripts can
 * read it. Only hashes are kept and compared, and those in constant time. Wrong tokens are counted by where they come from.
 */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import type { TokenAttempts } from './token-attempts.ts'

/** Beyond this the session that was used least lately ends. */
const maxSessions = 100

export interface Identity {
  /** undefined: by the token itself. */
  readonly session: string | undefined
}

export class Sessions {
  readonly token: string
  readonly #tokenHash: Buffer
  readonly #attempts: TokenAttempts
  readonly #clock: Clock
  readonly #random: Random
  /** Of sessions that begin or are used from now on. */
  sessionMs: number
  readonly #cookieName: string
  /** Hash of the id → when it ends, monotonic. In the order of last use. */
  readonly #ends = new Map<string, number>()

  constructor(parts: {
    readonly token: string | undefined
    readonly attempts: TokenAttempts
    readonly clock: Clock
    readonly random: Random
    readonly sessionMs: number
    /** Cookies do not know ports, and there may be another daybook on this host. */
    readonly port: number
  }) {
    this.token = parts.token ?? secret(parts.random)
    this.#tokenHash = hashOf(this.token)
    this.#attempts = parts.attempts
    this.#clock = parts.clock
    this.#random = parts.random
    this.sessionMs = parts.sessionMs
    this.#cookieName = `daybook_session_${parts.port}`
  }

  get count(): number {
    return this.#ends.size
  }

  /** Throws TOO_MANY_ATTEMPTS where that address is held off. */
  isToken(given: string, address: string): boolean {
    this.#attempts.check(address)
    if (timingSafeEqual(hashOf(given), this.#tokenHash)) return true
    this.#attempts.failed(address)
    return false
  }

  /** undefined: nobody we know. Throws TOO_MANY_ATTEMPTS where it has a token and its address is held off. */
  identify(request: IncomingMessage): Identity | undefined {
    const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    // A wrong token is wrong, whatever cookie comes along.
    if (request.headers.authorization !== undefined) {
      const isKnown = bearer !== undefined && this.isToken(bearer, addressOf(request))
      return isKnown ? { session: undefined } : undefined
    }
    const id = cookieOf(request.headers.cookie, this.#cookieName)
    return id !== undefined && this.#use(id) ? { session: id } : undefined
  }

  /** Begins a session; the result is the Set-Cookie header. */
  begin(): string {
    if (this.#ends.size >= maxSessions) {
      for (const oldest of this.#ends.keys()) {
        this.#ends.delete(oldest)
        break
      }
    }
    const id = secret(this.#random)
    this.#ends.set(nameOf(id), this.#clock.now() + this.sessionMs)
    return this.#cookie(id, Math.floor(this.sessionMs / 1000))
  }

  /** The result is the Set-Cookie header that takes the cookie away. */
  end(id: string): string {
    this.#ends.delete(nameOf(id))
    return this.#cookie('', 0)
  }

  #use(id: string): boolean {
    const name = nameOf(id)
    const end = this.#ends.get(name)
    if (end === undefined) return false
    this.#ends.delete(name)
    const now = this.#clock.now()
    if (end <= now) return false
    this.#ends.set(name, now + this.sessionMs)
    return true
  }

  #cookie(value: string, maxAgeSeconds: number): string {
    return `${this.#cookieName}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}`
  }
}

/** Where a request came from. */
export function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? ''
}

/** 244 random bits. */
function secret(random: Random): string {
  return `${random.uuid()}${random.uuid()}`.replaceAll('-', '')
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function nameOf(id: string): string {
  return hashOf(id).toString('base64')
}

function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}
