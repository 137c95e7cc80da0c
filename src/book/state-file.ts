/**
 * A small file of state beside the journal: replaced as a whole, so that a crash leaves the old one or the new one.
 *
 *     {"version":2,"checksum":"0a1b2c3d","content":…}
 *
 * The checksum is the CRC-32 of the content's JSON text without white space, as 8 hex digits. Without it a flipped bit in a
 * position would skip what is pending, and one in a table's name would write it elsewhere. Files of version 1 have the
 * content's members beside their version, and no checksum.
 */

import { crc32 } from 'node:zlib'
import type { Files } from '../base/files.ts'

const version = 2

/** The content. Throws an Error whose message completes "… cannot be used:". */
export function parseState(bytes: Uint8Array): unknown {
  const state: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
  if (!isMembers(state)) throw new Error('it is not an object')
  if (state.version === 1 && !Object.hasOwn(state, 'checksum')) return state
  if (state.version !== version) throw new Error(`its version is ${String(state.version)}`)
  if (state.checksum !== checksumOf(state.content)) throw new Error('its checksum does not match')
  return state.content
}

/** Durable when it resolves. Calls for one file are made one at a time. */
export async function writeState(
  files: Files,
  directory: string,
  name: string,
  content: unknown,
): Promise<void> {
  const path = `${directory}/${name}`
  const temporary = `${path}.new`
  const text = JSON.stringify({ version, checksum: checksumOf(content), content }, undefined, 2)
  await files.remove(temporary)
  const file = await files.open(temporary, 'create')
  try {
    await file.writeDurably(Buffer.from(text), 0)
  } finally {
    await file.close()
  }
  await files.rename(temporary, path)
  await files.syncDirectory(directory)
}

export function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function checksumOf(content: unknown): string {
  return crc32(JSON.stringify(content) ?? '')
    .toString(16)
    .padStart(8, '0')
}
