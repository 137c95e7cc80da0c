/**
 * What is known of each stream, beside the document that it is: made when someone first asks for it, kept for as long as the
 * document, and carried over to what a change makes of the document, as `orders.ts` does it for sorted sets.
 */

import type { Patched } from '../../../book/keyspace.ts'
import type { Fields } from '../../../mutation/mutation.ts'
import { StreamIndex } from './stream-index.ts'
import type { StreamNodes } from './stream-nodes.ts'

export class StreamIndexes {
  readonly #known = new WeakMap<Fields, StreamIndex>()
  readonly #nodes: StreamNodes

  constructor(nodes: StreamNodes) {
    this.#nodes = nodes
  }

  of(fields: Fields): StreamIndex {
    let index = this.#known.get(fields)
    if (index === undefined) {
      index = StreamIndex.of(fields, this.#nodes.maxEntries)
      this.#known.set(fields, index)
    }
    return index
  }

  carry({ before, was, names, after }: Patched): void {
    const index = this.#known.get(before)
    if (index === undefined) return
    this.#known.set(after, index.changed({ was, after }, names, this.#nodes.maxEntries))
  }
}
