/**
 * Ends a run that hangs in one synchronous call, where no timer of its own can: a thread that looks on.
 *
 * The run says now and then that it is alive. When it has not for `silenceMs`, the thread says which target and seed it
 * was at, and kills the process.
 */

import { writeSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

export interface Watchdog {
  /** Say it before each round; `what` is printed if the round never ends. */
  alive(what: string): void
  stop(): Promise<void>
}

interface Shared {
  readonly beats: SharedArrayBuffer
  readonly text: SharedArrayBuffer
  readonly silenceMs: number
}

const textBytes = 256

export function startWatchdog(silenceMs: number): Watchdog {
  const shared: Shared = {
    beats: new SharedArrayBuffer(4),
    text: new SharedArrayBuffer(textBytes),
    silenceMs,
  }
  const worker = new Worker(new URL(import.meta.url), { workerData: shared })
  worker.unref()
  const beats = new Int32Array(shared.beats)
  return {
    alive(what) {
      new Uint8Array(shared.text).fill(0).set(Buffer.from(what).subarray(0, textBytes))
      Atomics.add(beats, 0, 1)
      Atomics.notify(beats, 0)
    },
    async stop() {
      await worker.terminate()
    },
  }
}

if (!isMainThread && isShared(workerData)) watch(workerData)

function isShared(data: unknown): data is Shared {
  return typeof data === 'object' && data !== null && 'silenceMs' in data
}

function watch({ beats, text, silenceMs }: Shared): void {
  const counter = new Int32Array(beats)
  for (;;) {
    const seen = Atomics.load(counter, 0)
    if (Atomics.wait(counter, 0, seen, silenceMs) !== 'timed-out') continue
    const what = Buffer.from(new Uint8Array(text)).toString().replaceAll('\0', '')
    writeSync(2, `Hangs for ${silenceMs} ms: ${what}\n`)
    process.kill(process.pid, 'SIGKILL')
  }
}
