/** Faults at system calls, by strace: nothing in the engine knows of them. */

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export type SystemCall = 'fdatasync' | 'fsync' | 'pwrite64' | 'rename' | 'unlink'

export interface Injection {
  readonly call: SystemCall
  /**
   * `kill`: SIGKILL before the call is made. `stop`: the call is made, and the thread stands still before anyone can be
   * told. Else the call is not made, and fails with this error.
   */
  readonly effect: 'kill' | 'stop' | 'EIO' | 'ENOSPC'
  /** Which call of each thread, counted from 1; with `+` all from there on; `5..9` is a range. */
  readonly when: string
}

/** The command that runs another one under the injection; `log` is written by strace. */
export function underStrace({ call, effect, when }: Injection, log: string): readonly string[] {
  const what =
    effect === 'kill' ? 'signal=KILL' : effect === 'stop' ? 'signal=STOP' : `error=${effect}`
  const inject = `inject=${call}:${what}:when=${when}`
  // Other calls are left alone, and cost nothing. A signal needs to see each call begin.
  const filter = effect === 'kill' || effect === 'stop' ? [] : ['--seccomp-bpf']
  return ['strace', '-f', ...filter, '-qq', '-o', log, '-e', `trace=${call}`, '-e', inject]
}

/** How many calls were made to fail. */
export function injected(log: string): number {
  return readFileSync(log, 'utf8').split('(INJECTED)').length - 1
}

/** Why nothing can be traced here; undefined where it can. In CI that is an error, never a skip. */
export function straceUnavailable(): string | undefined {
  const reason = whyUnavailable()
  if (reason !== undefined && process.env['CI'] !== undefined && process.env['CI'] !== '') {
    throw new Error(`Faults by strace must not be skipped in CI: ${reason}`)
  }
  return reason
}

function whyUnavailable(): string | undefined {
  const probe = underStrace({ call: 'fsync', effect: 'EIO', when: '1' }, '/dev/null')
  const [executable = '', ...parameters] = probe
  const { status } = spawnSync(executable, [...parameters, 'true'], { stdio: 'ignore' })
  return status === 0
    ? undefined
    : 'strace is not installed, or may not trace (Debian: apt-get install strace)'
}
