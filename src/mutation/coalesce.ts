/**
 * The algebra of mutations: folding a sequence on one key into one mutation with the same effect.
 *
 * The law, checked by property tests: for every value v and mutations a, b
 *
 *     apply(apply(v, a), b) = apply(v, coalesce(a, b))
 *
 * and coalesce is associative. `blank` is the table's row of defaults: what a patch inserts over where there is no row.
 *
 *     later ∘ earlier │ set        delete     patch
 *     ────────────────┼──────────────────────────────
 *     set             │ set        set        set
 *     delete          │ delete     delete     delete
 *     patch           │ set        set        patch
 */

import { addAmount } from './decimal.ts'
import {
  isEmpty,
  type Amount,
  type Fields,
  type FieldValue,
  type Mutation,
  type Patch,
} from './mutation.ts'
import { overlay } from './overlay.ts'

/** The one delete: it carries nothing. */
export const deletion: Mutation = { kind: 'delete' }

/** What the mutation makes of a value; `undefined` is the absence of one. */
export function applyMutation(
  value: Fields | undefined,
  mutation: Mutation,
  blank: Fields,
): Fields | undefined {
  switch (mutation.kind) {
    case 'set':
      return mutation.fields
    case 'delete':
      return undefined
    case 'patch':
      return patchFields(value ?? blank, mutation)
  }
}

/** One mutation with the effect of `earlier` and then `later`. */
export function coalesce(earlier: Mutation, later: Mutation, blank: Fields): Mutation {
  if (later.kind !== 'patch') return later
  switch (earlier.kind) {
    case 'set':
      return { kind: 'set', fields: patchFields(earlier.fields, later) }
    case 'delete':
      return { kind: 'set', fields: patchFields(blank, later) }
    case 'patch':
      return coalescePatches(earlier, later)
  }
}

/**
 * The same as `coalesce`, by changing `earlier`. Only where nobody else has it: it must come from `coalesce`, of a patch as
 * `later`, and not have been given away since.
 */
export function coalesceInto(earlier: Exclude<Mutation, { kind: 'delete' }>, later: Patch): void {
  if (earlier.kind === 'set') patchInto(earlier.fields, later)
  else coalescePatchesInto(earlier, later)
}

/** The mutation decides the value by itself, whatever was there before. */
export function isDeterminate(mutation: Mutation): boolean {
  return mutation.kind !== 'patch'
}

function patchFields(base: Fields, patch: Patch): Fields {
  const result = overlay(base, patch.fields)
  change(result, patch)
  return result
}

/** The same as `applyMutation` of a patch, by changing the value: only where nobody else has it. */
export function patchInto(value: Record<string, FieldValue>, patch: Patch): void {
  for (const name of Object.keys(patch.fields)) value[name] = patch.fields[name] as FieldValue
  change(value, patch)
}

/** What a patch does beside laying its fields over. */
function change(value: Record<string, FieldValue>, { amounts, removed }: Patch): void {
  for (const name of Object.keys(amounts)) {
    value[name] = addAmount(value[name] ?? null, amounts[name] as Amount)
  }
  if (removed !== undefined) without(value, removed)
}

/** A patch that nobody else has. */
interface OwnPatch {
  readonly kind: 'patch'
  readonly fields: Record<string, FieldValue>
  readonly amounts: Record<string, Amount>
  removed: Record<string, true> | undefined
}

function coalescePatches(earlier: Patch, later: Patch): Patch {
  const own: OwnPatch = {
    kind: 'patch',
    fields: overlay(earlier.fields, {}),
    amounts: { ...earlier.amounts },
    removed: earlier.removed === undefined ? undefined : { ...earlier.removed },
  }
  coalescePatchesInto(own, later)
  return own
}

function coalescePatchesInto(earlier: Patch, later: Patch): void {
  const own = earlier as OwnPatch
  const { fields, amounts } = own
  for (const name of Object.keys(later.fields)) fields[name] = later.fields[name] as FieldValue
  // A later merge of the column makes what was added before it irrelevant.
  if (!isEmpty(amounts)) without(amounts, later.fields)
  if (own.removed !== undefined) without(own.removed, later.fields)
  for (const name of Object.keys(later.amounts)) {
    const amount = later.amounts[name] as Amount
    if (own.removed !== undefined && Object.hasOwn(own.removed, name)) {
      fields[name] = addAmount(null, amount)
      delete own.removed[name]
    } else if (Object.hasOwn(fields, name)) {
      fields[name] = addAmount(fields[name] as FieldValue, amount)
    } else {
      amounts[name] = Object.hasOwn(amounts, name)
        ? addAmount(amounts[name] as Amount, amount)
        : amount
    }
  }
  if (later.removed === undefined) return
  own.removed = Object.assign(own.removed ?? {}, later.removed)
  without(fields, later.removed)
  if (!isEmpty(amounts)) without(amounts, later.removed)
}

/** In place. */
function without(target: Record<string, unknown>, names: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(names)) {
    delete target[name]
  }
}
