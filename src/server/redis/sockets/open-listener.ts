/** Listens for clients of Redis, as the options say. */

import type { Clock } from '../../../base/clock.ts'
import { LocalListener } from './local-listener.ts'
import { LocalSocket } from './local-socket.ts'
import type { Listener, ListenerEvents, ListenerOptions } from './listener.ts'
import { ThreadedListener } from './threaded-listener.ts'

/** Throws INVALID_OPTION. */
export function openListener(
  options: ListenerOptions & { readonly socketThread: boolean },
  events: ListenerEvents,
  clock: Clock,
): Promise<Listener> {
  const { socketThread, ...listening } = options
  if (socketThread) return ThreadedListener.open(listening, events, clock)
  return LocalListener.open(listening, {
    accept: (socket) => events.accept(new LocalSocket(socket)),
    failed: (error) => events.failed(error),
  })
}
