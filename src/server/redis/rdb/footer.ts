/**
 * What stands behind the value in a payload of DUMP:
 *
 *     type and value …   version of the format (2, the lowest first)   CRC-64 of all before it (8, the lowest first)
 */

import { latin1Of } from '../latin1.ts'
import { crc64 } from './crc64.ts'

/** Of Redis 7.2. */
const newestVersion = 11
const versionBytes = 2
const sumBytes = 8

/** The payload of a type and value that can be read since this version. */
export function withFooter(body: string, version: number): string {
  const bytes = Buffer.from(`${body}${String.fromCharCode(version & 0xff, version >> 8)}`, 'latin1')
  return latin1Of(bytes) + latin1Of(crc64(bytes))
}

/** The type and value; undefined where the version is one that is not known here, or where the checksum is another. */
export function withoutFooter(payload: Buffer): Buffer | undefined {
  const end = payload.length - versionBytes - sumBytes
  if (end < 0 || payload.readUInt16LE(end) > newestVersion) return undefined
  const sum = crc64(payload.subarray(0, end + versionBytes))
  return sum.equals(payload.subarray(end + versionBytes)) ? payload.subarray(0, end) : undefined
}
