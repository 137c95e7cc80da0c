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
import type { Amount, Amounts, Fields, FieldValue, Mutation, Patch } from './mutation.ts'
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
      return patchFields(value ?? blank, mutation.fields, mutation.amounts)
  }
}

/** One mutation with the effect of `earlier` and then `later`. */
export function coalesce(earlier: Mutation, later: Mutation, blank: Fields): Mutation {
  if (later.kind !== 'patch') return later
  switch (earlier.kind) {
    case 'set':
      return { kind: 'set', fields: patchFields(earlier.fields, later.fields, later.amounts) }
    case 'delete':
      return { kind: 'set', fields: patchFields(blank, later.fields, later.amounts) }
    case 'patch':
      return coalescePatches(earlier, later)
  }
}

/**
 * The same as `coalesce`, by changing `earlier`. Only where nobody else has it: it must come from `coalesce`, of a patch as
 * `later`, and not have been given away since.
 */
export function coalesceInto(earlier: Exclude<Mutation, { kind: 'delete' }>, later: Patch): void {
  const fields = earlier.fields as Record<string, FieldValue>
  if (earlier.kind === 'set') patchInto(fields, later.fields, later.amounts)
  else coalescePatchesInto(fields, earlier.amounts, later)
}

/** The mutation decides the value by itself, whatever was there before. */
export function isDeterminate(mutation: Mutation): boolean {
  return mutation.kind !== 'patch'
}

function patchFields(base: Fields, fields: Fields, amounts: Amounts): Fields {
  const result = overlay(base, fields)
  addInto(result, amounts)
  return result
}

/** The same as `applyMutation` of a patch, by changing the value: only where nobody else has it. */
export function patchInto(
  value: Record<string, FieldValue>,
  fields: Fields,
  amounts: Amounts,
): void {
  for (const name of Object.keys(fields)) value[name] = fields[name] as FieldValue
  addInto(value, amounts)
}

function addInto(value: Record<string, FieldValue>, amounts: Amounts): void {
  for (const name of Object.keys(amounts)) {
    value[name] = addAmount(value[name] ?? null, amounts[name] as Amount)
  }
}

function coalescePatches(earlier: Patch, later: Patch): Patch {
  const fields = overlay(earlier.fields, {})
  const amounts = { ...earlier.amounts }
  coalescePatchesInto(fields, amounts, later)
  return { kind: 'patch', fields, amounts }
}

function coalescePatchesInto(
  fields: Record<string, FieldValue>,
  amounts: Record<string, Amount>,
  later: Patch,
): void {
  for (const name of Object.keys(later.fields)) {
    fields[name] = later.fields[name] as FieldValue
    // A later merge of the column makes what was added before it irrelevant.
    if (Object.hasOwn(amounts, name)) delete amounts[name]
  }
  for (const name of Object.keys(later.amounts)) {
    const amount = later.amounts[name] as Amount
    if (Object.hasOwn(fields, name)) fields[name] = addAmount(fields[name] as FieldValue, amount)
    else
      amounts[name] = Object.hasOwn(amounts, name)
        ? addAmount(amounts[name] as Amount, amount)
        : amount
  }
}
