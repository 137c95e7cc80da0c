/**
 * A large value with a few changes laid over it: what a step sees of what it has itself written, without a copy of thousands of
 * fields for each of its commands.
 *
 * It reads as the whole value does, whoever reads it, and never changes. What it lies over must not change while it is used:
 * it is for the one step, and nothing that lasts has one in it.
 */

import { addAmount } from './decimal.ts'
import type { Amount, Fields, FieldValue, Patch } from './mutation.ts'
import { overlay } from './overlay.ts'

interface Layer {
  readonly base: Fields
  /** undefined: it is taken away. */
  readonly changed: ReadonlyMap<string, FieldValue | undefined>
}

/** Each change copies those before it. */
const maxChanged = 256

const layers = new WeakMap<Fields, Layer>()

export function isLayered(fields: Fields): boolean {
  return layers.has(fields)
}

/** The same as `applyMutation` of the patch. */
export function layered(before: Fields, patch: Patch): Fields {
  let { base, changed } = layers.get(before) ?? { base: before, changed: new Map() }
  if (changed.size > maxChanged) {
    base = overlay(before, {})
    changed = new Map()
  }
  const after = new Map(changed)
  for (const name of Object.keys(patch.fields)) after.set(name, patch.fields[name])
  for (const name of Object.keys(patch.amounts)) {
    after.set(name, addAmount(before[name] ?? null, patch.amounts[name] as Amount))
  }
  for (const name of Object.keys(patch.removed ?? {})) after.set(name, undefined)
  return over({ base, changed: after })
}

function over(layer: Layer): Fields {
  const { base, changed } = layer
  const valueOf = (name: string | symbol): FieldValue | undefined => {
    if (typeof name !== 'string') return undefined
    if (changed.has(name)) return changed.get(name)
    return Object.hasOwn(base, name) ? base[name] : undefined
  }
  const fields = new Proxy<Record<string, FieldValue>>(
    {},
    {
      get: (_target, name) => valueOf(name),
      has: (_target, name) => valueOf(name) !== undefined,
      getOwnPropertyDescriptor(_target, name) {
        const value = valueOf(name)
        if (value === undefined) return undefined
        return { value, writable: true, enumerable: true, configurable: true }
      },
      ownKeys() {
        const names = Object.keys(base).filter((name) => valueOf(name) !== undefined)
        for (const [name, value] of changed) {
          if (value !== undefined && !Object.hasOwn(base, name)) names.push(name)
        }
        return names
      },
      set: () => false,
      deleteProperty: () => false,
      defineProperty: () => false,
    },
  )
  layers.set(fields, layer)
  return fields
}
