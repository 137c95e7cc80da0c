/** One line of CLIENT LIST, with the fields that tools read. */

import type { Connection } from '../connection.ts'

export function clientLine(connection: Connection, now: number): string {
  const { session } = connection
  const seconds = (since: number): number => Math.max(0, Math.floor((now - since) / 1000))
  const flags =
    (session.monitoring ? 'O' : '') +
    (session.subscriptions > 0 ? 'P' : '') +
    (session.transaction !== undefined ? 'x' : '')
  const fields: readonly (readonly [string, string | number])[] = [
    ['id', session.id],
    ['addr', session.address],
    ['laddr', session.localAddress],
    ['fd', session.id],
    ['name', session.name],
    ['age', seconds(session.connectedAt)],
    ['idle', seconds(session.usedAt)],
    ['flags', flags === '' ? 'N' : flags],
    ['db', session.database],
    ['sub', session.channels.size],
    ['psub', session.patterns.size],
    ['ssub', session.shards.size],
    ['multi', session.transaction?.queue.length ?? -1],
    ['watch', session.watched.length],
    ['qbuf', connection.inputBytes],
    ['qbuf-free', 0],
    ['argv-mem', session.transaction?.bytes ?? 0],
    ['multi-mem', session.transaction?.bytes ?? 0],
    ['rbs', 0],
    ['rbp', 0],
    ['obl', connection.outputBytes],
    ['oll', 0],
    ['omem', connection.outputBytes],
    ['tot-mem', connection.inputBytes + connection.outputBytes],
    ['events', 'r'],
    ['cmd', session.lastCommand],
    ['user', 'default'],
    ['redir', -1],
    ['resp', session.protocol.version],
    ['lib-name', session.libraryName],
    ['lib-ver', session.libraryVersion],
  ]
  return fields.map(([name, value]) => `${name}=${value}`).join(' ')
}
