/**
 * A process of its own for many connections: `node open-connections.ts <port> <count>`. Opens them, says `open`, and holds them
 * without a word until its input ends.
 */

import { once } from 'node:events'
import { connect } from 'node:net'

const [port, count] = process.argv.slice(2).map(Number)
/** At a time: fewer than the server's backlog has room for. */
const together = 200

for (let left = count ?? 0; left > 0; left -= together) {
  const some = Array.from({ length: Math.min(left, together) }, async () => {
    const socket = connect({ host: '127.0.0.1', port: port ?? 0 })
    await once(socket, 'connect')
    socket.on('end', () => process.exit(1))
  })
  await Promise.all(some)
}
process.stdout.write('open\n')
process.stdin.resume()
await once(process.stdin, 'end')
process.exit(0)
