/**
 * Server-sent events: live figures for as long as a browser listens.
 *
 *     event: figures     each second: `{stats, problems, sample}`
 *     event: happened    at once: `{atMs, name, message}`
 *     : heartbeat        where nothing else was sent
 *
 * A browser that does not read gets no figures until it does: they are of the moment, and nothing is kept for it.
 * One that reads nothing for long is let go.
 */

import type { ServerResponse } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import { Deferred } from '../../base/deadline.ts'
import { toTaggedJson } from '../../mutation/tagged-json.ts'
import type { LiveFigures } from './live-figures.ts'

/** How long a browser waits before it connects again. */
const retryMs = 2_000
const heartbeatMs = 15_000
/** A browser that has not read for so long is gone, whatever TCP says. */
const unreadMs = 30_000

export async function streamFigures(
  response: ServerResponse,
  live: LiveFigures,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const over = new Deferred<void>()
  let isBlocked = false
  let writtenAt = clock.now()
  let readAt = writtenAt
  const write = (text: string): void => {
    writtenAt = clock.now()
    if (response.write(text)) readAt = writtenAt
    else isBlocked = true
  }
  const send = (event: string, data: unknown): void => {
    if (!isBlocked) write(`event: ${event}\ndata: ${toTaggedJson(data)}\n\n`)
  }
  const onDrain = (): void => {
    isBlocked = false
    readAt = clock.now()
  }
  const beat = (): void => {
    timer = clock.setTimer(heartbeatMs, beat)
    if (isBlocked && clock.now() - readAt >= unreadMs) response.destroy()
    else if (!isBlocked && clock.now() - writtenAt >= heartbeatMs) write(': heartbeat\n\n')
  }
  const end = (): void => over.resolve()

  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    // A proxy is not to gather events until they fill its buffer.
    'X-Accel-Buffering': 'no',
  })
  let timer = clock.setTimer(heartbeatMs, beat)
  response.on('drain', onDrain)
  response.once('close', end)
  signal.addEventListener('abort', end)
  write(`retry: ${retryMs}\n\n`)
  send('figures', live.now())
  const unfollow = live.follow({
    figures: (figures) => send('figures', figures),
    happened: (happening) => send('happened', happening),
  })
  try {
    if (!signal.aborted) await over.promise
  } finally {
    unfollow()
    timer.cancel()
    signal.removeEventListener('abort', end)
    response.off('drain', onDrain)
    response.end()
  }
}
