/**
 * The type and value of a payload, in every encoding that Redis 2.6 to 7.2 writes.
 *
 *     type (1)   string                                                  a string
 *                number of elements, strings                             a list, a set; a hash: names and values
 *                number of members, strings and scores                   a sorted set
 *                number of nodes, strings that are ziplists              a list
 *                number of nodes, each 1 and a string that is an item,   a list
 *                  or 2 and a string that is a listpack
 *                a string that is a zipmap, ziplist, listpack, intset    the others where they are small
 *
 * A score is a double, or a byte that says how long its decimal is: 253 for NaN, 254 and 255 for the infinities.
 *
 * Refused is what Redis refuses, and what it takes though no Redis writes it: a score that is none, a value that reaches into
 * the checksum. What is left behind the value is not looked at, as in Redis.
 */

import { RedisError } from '../redis-error.ts'
import { scoreOf } from '../spaces/scores.ts'
import { badFormat } from './bad-format.ts'
import { ByteReader } from './byte-reader.ts'
import { readIntset } from './intset.ts'
import { readListpack } from './listpack.ts'
import { ReadBudget, type ReadLimits } from './read-budget.ts'
import { readBytes, readLength, readString } from './strings.ts'
import { typeByte } from './type-byte.ts'
import type { RdbValue } from './value.ts'
import { readZiplist } from './ziplist.ts'
import { readZipmap } from './zipmap.ts'

const itemNode = 1
const listpackNode = 2

/** Throws what the client is to be told. */
export function readValue(body: Buffer, limits: ReadLimits): RdbValue {
  const reader = new ByteReader(body)
  const type = reader.byte()
  return new ValueReader(reader, new ReadBudget(limits)).value(type)
}

class ValueReader {
  readonly #reader: ByteReader
  readonly #budget: ReadBudget

  constructor(reader: ByteReader, budget: ReadBudget) {
    this.#reader = reader
    this.#budget = budget
  }

  value(type: number): RdbValue {
    switch (type) {
      case typeByte.string:
        return { type: 'string', text: this.#string() }
      case typeByte.list:
        return listOf(this.#strings(1))
      case typeByte.listZiplist:
        return listOf(this.#packed(readZiplist))
      case typeByte.listQuicklist:
        return listOf(this.#nodes(() => this.#packed(readZiplist)))
      case typeByte.listQuicklist2:
        return listOf(this.#nodes(() => this.#node()))
      case typeByte.set:
        return setOf(this.#strings(1))
      case typeByte.setIntset:
        return setOf(this.#packed(readIntset))
      case typeByte.setListpack:
        return setOf(this.#packed(readListpack))
      case typeByte.hash:
        return hashOf(this.#strings(2))
      case typeByte.hashZipmap:
        return hashOf(this.#packed(readZipmap))
      case typeByte.hashZiplist:
        return hashOf(this.#packed(readZiplist))
      case typeByte.hashListpack:
        return hashOf(this.#packed(readListpack))
      case typeByte.zset:
        return this.#scored(() => this.#decimalScore())
      case typeByte.zset2:
        return this.#scored(() => this.#reader.double())
      case typeByte.zsetZiplist:
        return sortedSetOf(scoredPairs(this.#packed(readZiplist)))
      case typeByte.zsetListpack:
        return sortedSetOf(scoredPairs(this.#packed(readListpack)))
      case typeByte.stream:
      case typeByte.stream2:
      case typeByte.stream3:
        throw new RedisError('ERR Bad data format: it is a stream, which cannot be restored here')
      default:
        throw badFormat()
    }
  }

  #string(): string {
    return readString(this.#reader, this.#budget)
  }

  #packed(read: (bytes: Buffer, budget: ReadBudget) => string[]): string[] {
    return read(readBytes(this.#reader, this.#budget), this.#budget)
  }

  #strings(perElement: number): string[] {
    const strings: string[] = []
    // The count is only believed as far as there are strings.
    for (let left = readLength(this.#reader) * perElement; left > 0; left--) {
      this.#budget.element()
      strings.push(this.#string())
    }
    return strings
  }

  #nodes(read: () => string[]): string[] {
    const items: string[] = []
    for (let left = readLength(this.#reader); left > 0; left--) {
      for (const item of read()) items.push(item)
    }
    return items
  }

  #node(): string[] {
    const kind = readLength(this.#reader)
    if (kind === listpackNode) return this.#packed(readListpack)
    if (kind !== itemNode) throw badFormat()
    this.#budget.element()
    const item = this.#string()
    if (item === '') throw badFormat()
    return [item]
  }

  #scored(score: () => number): RdbValue {
    const pairs: [string, number][] = []
    for (let left = readLength(this.#reader); left > 0; left--) {
      this.#budget.element()
      pairs.push([this.#string(), score()])
    }
    return sortedSetOf(pairs)
  }

  #decimalScore(): number {
    const length = this.#reader.byte()
    if (length === 255) return -Infinity
    if (length === 254) return Infinity
    if (length === 253) return NaN
    return scoreOf(this.#reader.text(length)) ?? NaN
  }
}

function listOf(items: readonly string[]): RdbValue {
  if (items.length === 0) throw badFormat()
  return { type: 'list', items }
}

function setOf(elements: readonly string[]): RdbValue {
  const members = new Set(elements)
  if (members.size === 0 || members.size !== elements.length) throw badFormat()
  return { type: 'set', members }
}

function hashOf(elements: readonly string[]): RdbValue {
  const fields = new Map(pairsOf(elements))
  if (fields.size === 0 || fields.size * 2 !== elements.length) throw badFormat()
  return { type: 'hash', fields }
}

function scoredPairs(elements: readonly string[]): [string, number][] {
  return pairsOf(elements).map(([member, score]) => [member, scoreOf(score) ?? NaN])
}

function sortedSetOf(pairs: readonly (readonly [string, number])[]): RdbValue {
  const scores = new Map(pairs)
  if (scores.size === 0 || scores.size !== pairs.length) throw badFormat()
  for (const score of scores.values()) if (Number.isNaN(score)) throw badFormat()
  return { type: 'zset', scores }
}

function pairsOf(elements: readonly string[]): [string, string][] {
  if (elements.length % 2 !== 0) throw badFormat()
  const pairs: [string, string][] = []
  for (let at = 0; at < elements.length; at += 2) {
    pairs.push([elements[at] ?? '', elements[at + 1] ?? ''])
  }
  return pairs
}
