/** Mutations and rows on the page: what is written, and how it differs from what is there. */

import { h } from './dom.js'
import { count, counted, shown } from './format.js'

/** @typedef {import('./api.js').Mutation} Mutation */
/** @typedef {import('./api.js').Fields} Fields */

/** Characters of a line that cannot show more, whatever the width. */
const maxLineLength = 500
/** Characters from which on a value is shown in a box of its own. */
const longText = 1_000
/** Of a table: a collection has a hundred thousand columns, and a page that shows them stands still. */
const maxRows = 200

/** The four names that users know. @param {Mutation} mutation */
export function mutationName({ kind, amounts }) {
  if (kind !== 'patch') return kind
  return Object.keys(amounts ?? {}).length > 0 ? 'increment' : 'merge'
}

/** @param {Mutation} mutation */
export function kindChip(mutation) {
  const name = mutationName(mutation)
  return h('span', { class: `chip kind-${name}` }, name)
}

/** One line: `name=Ada visits+2 −note` @param {Mutation} mutation */
export function summaryOf({ kind, fields = {}, amounts = {}, removed = {} }) {
  if (kind === 'delete') return 'the row'
  const parts = [
    ...Object.entries(fields).map(([name, value]) => `${plainName(name)}=${shown(value)}`),
    ...Object.entries(amounts).map(([name, value]) => `${plainName(name)}${signed(value)}`),
    ...Object.keys(removed).map((name) => `−${plainName(name)}`),
  ]
  return parts.join('  ')
}

/** What is written, in one line. @param {Mutation} mutation */
export function writeLine(mutation) {
  const whole = summaryOf(mutation)
  const text = whole.length > maxLineLength ? `${whole.slice(0, maxLineLength)}…` : whole
  return h(
    'div',
    { class: 'line-of-write' },
    kindChip(mutation),
    h('span', { class: 'mono clip', title: text }, text),
  )
}

/** @param {unknown} amount */
function signed(amount) {
  const text = shown(amount)
  return text.startsWith('-') ? text : `+${text}`
}

/** The name as it is: under the tags of values one that begins with `$` has one more. @param {string} name */
function plainName(name) {
  return name.startsWith('$$') ? name.slice(1) : name
}

/** Columns that a mutation writes, with text for each. @param {Mutation} mutation @returns {Map<string, string>} */
export function writtenColumns({ kind, fields = {}, amounts = {}, removed = {} }) {
  const columns = new Map(
    Object.entries(fields).map(([name, value]) => [plainName(name), shown(value)]),
  )
  for (const [name, amount] of Object.entries(amounts)) {
    columns.set(plainName(name), signed(amount))
  }
  for (const name of Object.keys(removed)) columns.set(plainName(name), 'removed')
  if (kind === 'delete') columns.set('(row)', 'deleted')
  return columns
}

/** The columns of a value; one without columns has a single one. @param {unknown} value @returns {Map<string, string>} */
export function valueColumns(value) {
  if (value === null || value === undefined) return new Map()
  if (typeof value !== 'object' || Array.isArray(value)) return new Map([['(value)', shown(value)]])
  return new Map(Object.entries(value).map(([name, field]) => [plainName(name), shown(field)]))
}

/**
 * What a letter would write, beside what its key has now.
 *
 * @param {Mutation} mutation
 * @param {{value: unknown} | {unknown: string}} current
 */
export function differenceTable(mutation, current) {
  const written = writtenColumns(mutation)
  const isKnown = 'value' in current
  const now = isKnown ? valueColumns(current.value) : new Map()
  const has = isKnown && current.value !== null
  const differs = (/** @type {string} */ name) => has && now.get(name) !== written.get(name)
  const { first, left } = mostTelling([...written.keys()], differs)
  const rows = first.map((name) => {
    const text = written.get(name) ?? ''
    const isDifferent = differs(name)
    return h(
      'tr',
      { class: isDifferent ? 'is-different' : '' },
      h('th', { scope: 'row', class: 'mono' }, name),
      cell('Would write', text),
      isKnown ? cell('Now', has ? (now.get(name) ?? '') : 'no row') : null,
      isKnown
        ? h(
            'td',
            { class: 'narrow' },
            isDifferent ? h('span', { class: 'chip warn' }, 'differs') : '',
          )
        : null,
    )
  })
  return h(
    'table',
    { class: 'table stacked' },
    h('caption', { class: 'hidden' }, 'What would be written, and what is there now'),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, 'Column'),
        h('th', { scope: 'col' }, 'Would write'),
        isKnown ? h('th', { scope: 'col' }, 'Now') : null,
        isKnown ? h('th', { scope: 'col' }, h('span', { class: 'hidden' }, 'Difference')) : null,
      ),
    ),
    h('tbody', {}, rows, left),
  )
}

/**
 * As many columns as a table shows: those that differ come first where there are more. `left` is a row that says how many
 * there are besides.
 *
 * @param {readonly string[]} names
 * @param {(name: string) => boolean} differs
 */
export function mostTelling(names, differs) {
  if (names.length <= maxRows) return { first: names, left: null }
  const different = names.filter((name) => differs(name))
  const first = [...different, ...names.filter((name) => !differs(name))].slice(0, maxRows)
  const text = `${counted(names.length - maxRows, 'more column')}; ${count(different.length)} of all differ`
  return { first, left: h('tr', {}, h('td', { class: 'muted', colspan: 4 }, text)) }
}

/** Long text scrolls by itself: what comes after it stays within reach. @param {string} label @param {string} text */
export function cell(label, text) {
  return h(
    'td',
    { 'data-label': label, class: 'mono wrap' },
    text.length > longText
      ? h('div', { class: 'long-text', role: 'group', 'aria-label': label, tabindex: 0 }, text)
      : text,
  )
}
