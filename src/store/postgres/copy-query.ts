/**
 * One message with a COPY … FROM STDIN among its statements, as an object that `pg` runs in place of a query.
 */

import type { DriverClient } from './driver.ts'

/** What `pg` gives to such an object. */
interface CopyWire {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

/** Resolves once all statements of `text` are done, or rejects with the server's error. */
export function copyRows(client: DriverClient, text: string, rows: string): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query({
      submit: (wire: CopyWire) => {
        wire.query(text)
        return null
      },
      handleCopyInResponse: (wire: CopyWire) => {
        wire.sendCopyFromChunk(Buffer.from(rows))
        wire.endCopyFrom()
      },
      handleReadyForQuery: () => resolve(),
      handleError: (error: Error) => reject(error),
      // The statements around the COPY answer too; nothing in it matters.
      handleCommandComplete: () => undefined,
      handleRowDescription: () => undefined,
      handleDataRow: () => undefined,
      callback: () => undefined,
    })
  })
}
