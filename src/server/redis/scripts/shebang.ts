/** The first line of a script, `#!lua flags=no-writes`: what it promises. */

import { RedisError } from '../redis-error.ts'

export interface Shebang {
  readonly isGiven: boolean
  /** Of its line, without the line feed. */
  readonly length: number
  readonly readOnly: boolean
}

const none: Shebang = { isGiven: false, length: 0, readOnly: false }
const flags = new Set([
  ...['no-writes', 'allow-oom', 'allow-stale', 'no-cluster', 'allow-cross-slot-keys'],
])

/** Throws what Redis says where it cannot be read. */
export function shebangOf(text: string): Shebang {
  if (!text.startsWith('#!')) return none
  const length = text.indexOf('\n')
  if (length < 0) throw new RedisError('ERR Invalid script shebang')
  const [engine, ...options] = text.slice(0, length).split(/[ \t\r]+/)
  if (engine !== '#!lua') {
    throw new RedisError(`ERR Unexpected engine in script shebang: ${engine ?? ''}`)
  }
  let readOnly = false
  for (const option of options) {
    if (option === '') continue
    if (!option.startsWith('flags=')) {
      throw new RedisError(`ERR Unknown lua shebang option: ${option}`)
    }
    for (const flag of option.slice('flags='.length).split(',')) {
      if (flag !== '' && !flags.has(flag)) {
        throw new RedisError(`ERR Unexpected flag in script shebang: ${flag}`)
      }
      readOnly ||= flag === 'no-writes'
    }
  }
  return { isGiven: true, length, readOnly }
}
