/** What is acknowledged and not in the database yet, write by write. */

import { get } from './api.js'
import { busy, complain } from './dialogs.js'
import { fill, h, say, uniqueId } from './dom.js'
import { firstLoad } from './first-load.js'
import { bytes, count, counted } from './format.js'
import { icon } from './icons.js'
import { writeLine } from './values.js'

const pageSize = 100

/** @param {import('./main.js').PageContext} context @returns {import('./main.js').Page} */
export function pendingPage({ live, caches, query }) {
  const cacheId = uniqueId('cache')
  const prefixId = uniqueId('prefix')
  const cache = h('select', { id: cacheId }, h('option', { value: '' }, 'All caches'))
  const prefix = h('input', {
    id: prefixId,
    type: 'search',
    placeholder: 'any',
    autocomplete: 'off',
  })
  prefix.value = query.get('keyPrefix') ?? ''
  const total = h('p', { class: 'muted' })
  const rows = h('tbody', {})
  const more = h('button', { class: 'button', hidden: true }, 'Load more')
  const again = h('button', { class: 'button' }, icon('refresh'), 'Look again')
  /** @type {string | undefined} */
  let next

  const element = h(
    'div',
    { class: 'page' },
    h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Pending'), total), again),
    h(
      'form',
      {
        class: 'filters',
        role: 'search',
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault()
          void load(false).catch(complain)
        },
      },
      h('div', { class: 'field' }, h('label', { for: cacheId }, 'Cache'), cache),
      h('div', { class: 'field grow' }, h('label', { for: prefixId }, 'Key begins with'), prefix),
      h('button', { class: 'button primary' }, 'Filter'),
    ),
    h(
      'section',
      { class: 'card flush', 'aria-label': 'Pending mutations' },
      h(
        'table',
        { class: 'table stacked' },
        h('caption', { class: 'hidden' }, 'Pending mutations, the oldest of each lane first'),
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            ['Position', 'Lane', 'Cache', 'Key', 'Write', 'Size'].map((title) =>
              h('th', { scope: 'col' }, title),
            ),
          ),
        ),
        rows,
      ),
    ),
    h('div', { class: 'row center' }, more),
  )

  /** @param {boolean} onward */
  async function load(onward) {
    const answer = await get('/api/pending', {
      cache: cache.value,
      keyPrefix: prefix.value,
      after: onward ? next : undefined,
      limit: pageSize,
    })
    next = answer.next
    const found = answer.mutations.map(row)
    if (onward) rows.append(...found)
    else if (found.length > 0) fill(rows, found)
    else {
      const isFiltered = cache.value !== '' || prefix.value !== ''
      const text = isFiltered
        ? 'Nothing that is pending fits the filter.'
        : 'Nothing is pending: all that was acknowledged is in the database.'
      fill(rows, h('tr', { class: 'empty' }, h('td', { colspan: 6 }, icon('good'), text)))
    }
    more.hidden = next === undefined
  }

  function show() {
    const pending = live.figures?.stats.pending
    if (pending === undefined) return
    say(
      total,
      pending.mutations === 0
        ? 'Nothing is pending.'
        : `${counted(pending.mutations, 'mutation')}, ${bytes(pending.bytes)}${pending.spilledMutations === 0 ? '' : `; ${count(pending.spilledMutations)} of them in the journal only`}.`,
    )
  }

  more.addEventListener('click', () => busy(more, () => load(true)))
  again.addEventListener('click', () => busy(again, () => load(false)))
  cache.addEventListener('change', () => void load(false).catch(complain))
  live.addEventListener('figures', show)
  show()
  const stop = firstLoad(element, async () => {
    const names = await caches()
    // Once, however often it is tried: what someone chose meanwhile stays chosen.
    if (cache.options.length === 1) {
      for (const name of names) cache.append(h('option', { value: name }, name))
      cache.value = query.get('cache') ?? ''
    }
    await load(false)
  })
  return {
    element,
    close() {
      stop()
      live.removeEventListener('figures', show)
    },
  }
}

/** @param {import('./api.js').PendingMutation} pending */
function row({ position, lane, cache, key, mutation, bytes: size }) {
  const link = `#/keys?cache=${encodeURIComponent(cache)}&key=${encodeURIComponent(key)}`
  return h(
    'tr',
    {},
    h('td', { 'data-label': 'Position', class: 'number' }, count(position)),
    h('td', { 'data-label': 'Lane', class: 'number' }, String(lane)),
    h('td', { 'data-label': 'Cache' }, cache),
    h('td', { 'data-label': 'Key', class: 'mono wrap' }, h('a', { href: link }, key)),
    h('td', { 'data-label': 'Write', class: 'write' }, writeLine(mutation)),
    h('td', { 'data-label': 'Size', class: 'number' }, bytes(size)),
  )
}
