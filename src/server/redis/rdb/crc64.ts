/**
 * The checksum of a payload: CRC-64 with Jones's polynomial, reflected, beginning with 0. Pure.
 *
 * In two halves of 32 bits: with BigInt each byte would make a new number.
 */

/** 0xad93d23594c935a9 with its bits reversed. */
const polynomial = 0x95ac9329ac4bc9b5n

const low = new Int32Array(256)
const high = new Int32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let crc = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 0n ? crc >> 1n : (crc >> 1n) ^ polynomial
  low[byte] = Number(BigInt.asIntN(32, crc))
  high[byte] = Number(BigInt.asIntN(32, crc >> 32n))
}

/** Its eight bytes, the lowest first, as they stand in a payload. */
export function crc64(bytes: Uint8Array): Buffer {
  let crcLow = 0
  let crcHigh = 0
  for (const byte of bytes) {
    const index = (crcLow ^ byte) & 0xff
    crcLow = ((crcLow >>> 8) | (crcHigh << 24)) ^ (low[index] ?? 0)
    crcHigh = (crcHigh >>> 8) ^ (high[index] ?? 0)
  }
  const sum = Buffer.allocUnsafe(8)
  sum.writeInt32LE(crcLow, 0)
  sum.writeInt32LE(crcHigh, 4)
  return sum
}
