/**
 * Lines out of a byte stream, with a bound: a peer that never ends its line cannot fill memory.
 */

const newline = 0x0a

export class LineSplitter {
  readonly #maxBytes: number
  #parts: Uint8Array[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * The lines that `chunk` completes, without their newline; empty ones are left out. undefined once a line is longer
   * than the limit: the stream is of no use any more.
   */
  push(chunk: Uint8Array): string[] | undefined {
    const lines: string[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      if (!this.#keep(chunk.subarray(start, end))) return undefined
      const line = Buffer.concat(this.#parts).toString('utf8')
      if (line.trim() !== '') lines.push(line)
      this.#parts = []
      this.#bytes = 0
      start = end + 1
    }
    return this.#keep(chunk.subarray(start)) ? lines : undefined
  }

  #keep(part: Uint8Array): boolean {
    this.#bytes += part.length
    if (this.#bytes > this.#maxBytes) return false
    if (part.length > 0) this.#parts.push(part)
    return true
  }
}
