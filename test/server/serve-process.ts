/** `daybook serve` in a process of its own, as people start it: what it says, and how it ends. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const root = join(import.meta.dirname, '../..')
const main = join(root, 'src/cli/main.ts')

export class ServeProcess {
  readonly child: ChildProcess
  #output = ''
  #changed: (() => void)[] = []

  /** Killed when the test has finished, at the latest. */
  constructor(
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    [command, ...before]: readonly [string, ...string[]] = [process.execPath, main, 'serve'],
  ) {
    this.child = spawn(command, [...before, ...args], {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own, as in a terminal.
      detached: true,
    })
    onTestFinished(() => {
      if (!this.#hasEnded) this.signalGroup('SIGKILL')
    })
    const take = (chunk: Buffer): void => {
      this.#output += chunk.toString()
      this.#wake()
    }
    this.child.stdout?.on('data', take)
    this.child.stderr?.on('data', take)
    this.child.on('exit', () => this.#wake())
  }

  /** Serves Redis alone, and resolves once it listens. */
  static async redis(directory: string, port: number): Promise<ServeProcess> {
    const served = new ServeProcess([
      ...['--directory', directory, '--redis-port', String(port), '--no-http'],
    ])
    await served.says(/redis-cli/)
    return served
  }

  /** In a clone, as a newcomer does it. */
  static npmStart(args: readonly string[]): ServeProcess {
    return new ServeProcess(args, {}, ['npm', 'start', '--'])
  }

  /** To all processes of it at once, as a terminal does at Ctrl-C. */
  signalGroup(signal: NodeJS.Signals): void {
    if (this.child.pid !== undefined) process.kill(-this.child.pid, signal)
  }

  /** Resolves with what the pattern finds in all that was printed. */
  async says(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.#output)
      if (found !== null) return found[1] ?? found[0]
      if (this.#hasEnded) throw new Error(`It ended, having said: ${this.#output}`)
      await new Promise<void>((resolve) => this.#changed.push(resolve))
    }
  }

  /** Resolves with the exit code, or null where a signal ended it. */
  async ends(): Promise<number | null> {
    if (!this.#hasEnded) await once(this.child, 'exit')
    return this.child.exitCode
  }

  /** SIGKILL: it can do nothing about it. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ends()
  }

  get #hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  #wake(): void {
    const changed = this.#changed
    this.#changed = []
    for (const wake of changed) wake()
  }
}
