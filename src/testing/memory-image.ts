/** The bytes of one file in memory. Copies share them until one of them changes: a snapshot of a disk is cheap. */

const noBytes = new Uint8Array(0)

export class Image {
  #size = 0
  /** What lies behind it is zeros. May be longer than the file, or shorter. */
  #bytes = noBytes
  /** Behind it everything is zeros, and nothing has ever been put there. */
  #end = 0
  #shared = false

  static of(bytes: Uint8Array): Image {
    const image = new Image()
    image.put(0, bytes)
    image.resize(bytes.byteLength)
    return image
  }

  get size(): number {
    return this.#size
  }

  copy(): Image {
    const copy = new Image()
    copy.#size = this.#size
    copy.#bytes = this.#bytes
    copy.#end = this.#end
    copy.#shared = this.#shared = true
    return copy
  }

  /** The bytes themselves: right until the image changes, and nobody may write into them. */
  view(): Uint8Array {
    if (this.#bytes.length < this.#size) this.#own(this.#size)
    return this.#bytes.subarray(0, this.#size)
  }

  /** A copy of a range, cut at the end of the file. */
  read(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.#size)
    const held = Math.min(end, this.#bytes.length)
    if (held === end) return this.#bytes.slice(offset, end)
    const bytes = new Uint8Array(Math.max(0, end - offset))
    if (offset < held) bytes.set(this.#bytes.subarray(offset, held))
    return bytes
  }

  /** Puts bytes there; those beyond the size appear when it grows over them, and are gone with the next `resize` below. */
  put(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.byteLength
    this.#own(end).set(bytes, offset)
    this.#end = Math.max(this.#end, end)
  }

  putZeros(offset: number, length: number): void {
    const end = Math.min(offset + length, this.#end)
    if (offset < end) this.#own(end).fill(0, offset, end)
  }

  /** Sets the size. Nothing is left behind it. */
  resize(size: number): void {
    this.#size = size
    if (size >= this.#end) return
    this.#own(this.#end).fill(0, size, this.#end)
    this.#end = size
  }

  /** The bytes, at least so many of them, to write into. */
  #own(length: number): Uint8Array {
    if (!this.#shared && length <= this.#bytes.length) return this.#bytes
    const grown = length <= this.#bytes.length ? length : Math.max(length, 2 * this.#bytes.length)
    const bytes = new Uint8Array(Math.max(grown, this.#end))
    bytes.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = bytes
    this.#shared = false
    return bytes
  }
}
