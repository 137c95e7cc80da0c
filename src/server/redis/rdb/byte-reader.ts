/** Bytes of someone else, from front to back. Whoever asks for more than there are is refused. */

import { latin1Of } from '../latin1.ts'
import { badFormat } from './bad-format.ts'

export class ByteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get at(): number {
    return this.#at
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** The next byte, which stays. */
  get next(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw badFormat()
    return byte
  }

  byte(): number {
    const byte = this.next
    this.#at++
    return byte
  }

  /** Of 1 to 6 bytes, the lowest first. */
  unsigned(length: number): number {
    return this.#bytes.readUIntLE(this.#take(length), length)
  }

  /** Of 1 to 6 bytes, the highest first. */
  unsignedBigEndian(length: number): number {
    return this.#bytes.readUIntBE(this.#take(length), length)
  }

  /** Perhaps rounded: as the length of something it is beyond all that there is. */
  unsigned64BigEndian(): number {
    return Number(this.#bytes.readBigUInt64BE(this.#take(8)))
  }

  /** The digits of an integer of 1, 2, 3, 4 or 8 bytes, the lowest first. */
  integerText(length: number): string {
    const at = this.#take(length)
    const value = length === 8 ? this.#bytes.readBigInt64LE(at) : this.#bytes.readIntLE(at, length)
    return value.toString()
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.#take(8))
  }

  text(length: number): string {
    const at = this.#take(length)
    return latin1Of(this.#bytes, at, at + length)
  }

  /** A view, no copy. */
  bytes(length: number): Buffer {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  skip(length: number): void {
    this.#take(length)
  }

  #take(length: number): number {
    const at = this.#at
    if (length > this.#bytes.length - at) throw badFormat()
    this.#at = at + length
    return at
  }
}
