/**
 * The payload of a value, as DUMP answers it, in the plainest encoding of its type: a Redis that reads one packs it by its own
 * settings. So it can also be read by a Redis that is older than 7.0, and says so in its version.
 */

import { latin1Of } from '../latin1.ts'
import { withFooter } from './footer.ts'
import { lengthText, stringText } from './strings.ts'
import { typeByte } from './type-byte.ts'
import type { RdbValue } from './value.ts'

/** Of Redis 4.0: the first with scores that are doubles. */
const version = 8

export function payloadOf(value: RdbValue): string {
  return withFooter(bodyOf(value), version)
}

function bodyOf(value: RdbValue): string {
  switch (value.type) {
    case 'string':
      return typeText(typeByte.string) + stringText(value.text)
    case 'list':
      return typeText(typeByte.list) + textOf(value.items.length, value.items, stringText)
    case 'set':
      return typeText(typeByte.set) + textOf(value.members.size, value.members, stringText)
    case 'hash':
      return (
        typeText(typeByte.hash) +
        textOf(
          value.fields.size,
          value.fields,
          ([name, text]) => stringText(name) + stringText(text),
        )
      )
    case 'zset':
      return (
        typeText(typeByte.zset2) +
        textOf(
          value.scores.size,
          value.scores,
          ([member, score]) => stringText(member) + doubleText(score),
        )
      )
  }
}

function typeText(type: number): string {
  return String.fromCharCode(type)
}

function textOf<Item>(
  count: number,
  items: Iterable<Item>,
  textOfItem: (item: Item) => string,
): string {
  let text = lengthText(count)
  for (const item of items) text += textOfItem(item)
  return text
}

function doubleText(value: number): string {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleLE(value)
  return latin1Of(bytes)
}
