/** MONITOR: connections that are shown every command of all others, as it is accepted. One that does not read is cut off. */

import type { Session } from './session.ts'
import { shownArguments } from './shown-arguments.ts'

export class Monitors {
  readonly #sessions = new Set<Session>()

  get size(): number {
    return this.#sessions.size
  }

  join(session: Session): void {
    session.monitoring = true
    this.#sessions.add(session)
  }

  leave(session: Session): void {
    session.monitoring = false
    this.#sessions.delete(session)
  }

  /** `address`: as MONITOR shows it, `lua` of what a script does. */
  show(
    { database, address }: Pick<Session, 'database' | 'address'>,
    args: readonly string[],
    wallTimeMs: number,
  ): void {
    const words = shownArguments(args).map(quoted).join(' ')
    const seconds = (wallTimeMs / 1000).toFixed(6)
    const line = `+${seconds} [${database} ${address}] ${words}\r\n`
    for (const monitor of this.#sessions) monitor.push(line)
  }
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['\\', '\\\\'],
  ['"', '\\"'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\x07', '\\a'],
  ['\b', '\\b'],
])

function quoted(word: string): string {
  const shown = word.replace(
    /[^ !#-[\]-~]/g,
    (character) =>
      escapes.get(character) ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
  return `"${shown}"`
}
