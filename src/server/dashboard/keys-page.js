/** Keys of a cache, and of one of them what the cache, the journal and the database each have, side by side. */

import { get, keyPath, post } from './api.js'
import { busy, complain, note } from './dialogs.js'
import { fill, h, uniqueId } from './dom.js'
import { firstLoad } from './first-load.js'
import { count } from './format.js'
import { icon } from './icons.js'
import { keyList } from './key-list.js'
import { cell, kindChip, mostTelling, valueColumns, writtenColumns } from './values.js'

/** @typedef {import('./api.js').Inspection} Inspection */
/** @typedef {import('./dom.js').Child} Child */

/** @param {import('./main.js').PageContext} context @returns {import('./main.js').Page} */
export function keysPage({ caches, query }) {
  const cacheId = uniqueId('cache')
  const keyId = uniqueId('key')
  const cache = h('select', { id: cacheId, required: true })
  const key = h('input', {
    id: keyId,
    type: 'search',
    required: true,
    placeholder: 'such as 42',
    autocomplete: 'off',
    spellcheck: 'false',
  })
  const result = h('div', { class: 'stack', 'aria-live': 'polite' })
  const list = keyList({
    cache: () => cache.value,
    linkTo: addressOf,
    onChosen: (wanted) => void open(wanted),
    onListed: () => {
      if (!isClosed) history.replaceState(null, '', addressOf(chosen))
    },
  })
  /** The key that is shown. */
  let chosen = ''
  /** Counts what was looked up: a slow answer does not take the place of a later one. */
  let looks = 0
  let isClosed = false

  const element = h(
    'div',
    { class: 'page' },
    h(
      'div',
      { class: 'page-head' },
      h(
        'div',
        {},
        h('h1', {}, 'Keys'),
        h(
          'p',
          { class: 'muted' },
          'All keys of a cache; one of them in the cache, in the journal and in the database, side by side.',
        ),
      ),
    ),
    h(
      'form',
      {
        class: 'filters',
        role: 'search',
        'aria-label': 'One key',
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault()
          void open(key.value)
        },
      },
      h('div', { class: 'field' }, h('label', { for: cacheId }, 'Cache'), cache),
      h('div', { class: 'field grow' }, h('label', { for: keyId }, 'Key'), key),
      h('button', { class: 'button primary' }, 'Look up'),
    ),
    h('div', { class: 'browse' }, list.element, result),
  )

  /** The address is kept, so that it can be shared. @param {string} wanted */
  function addressOf(wanted) {
    const parts = new URLSearchParams({ cache: cache.value })
    if (wanted !== '') parts.set('key', wanted)
    const prefix = list.prefix()
    if (prefix !== undefined) parts.set('prefix', prefix)
    return `#/keys?${parts}`
  }

  /** Without leaving the page: the list stays where it is. @param {string} wanted */
  async function open(wanted) {
    const address = addressOf(wanted)
    if (location.hash !== address) history.pushState(null, '', address)
    key.value = wanted
    await look(wanted)
    // On a phone it is below the list.
    if (result.getBoundingClientRect().top > innerHeight / 2) result.scrollIntoView()
  }

  /** @param {string} wanted */
  async function look(wanted) {
    looks += 1
    const mine = looks
    chosen = wanted
    list.choose(wanted)
    /** @type {Child | Child[]} */
    let shown
    try {
      const found = /** @type {Inspection} */ (await get(keyPath(cache.value, wanted)))
      shown = shownKey(found, () => void look(wanted))
    } catch (error) {
      // What is there of another key must not be taken for this one's.
      const text = error instanceof Error ? error.message : String(error)
      shown = h('p', { class: 'card error wrap' }, text)
    }
    if (mine === looks) fill(result, shown)
  }

  function showNone() {
    looks += 1
    chosen = ''
    list.choose('')
    fill(
      result,
      h('p', { class: 'card muted wide-only' }, 'Choose a key from the list, or look one up.'),
    )
  }

  cache.addEventListener('change', () => {
    showNone()
    void list.load().catch(complain)
  })
  const stop = firstLoad(element, async () => {
    const names = await caches()
    fill(
      cache,
      names.map((name) => h('option', { value: name }, name)),
    )
    const wanted = query.get('cache')
    if (wanted !== null && !names.includes(wanted)) {
      // The row of another cache must not be taken for the one that was asked for.
      fill(result, h('p', { class: 'card error wrap' }, `There is no cache ${wanted} here.`))
      return
    }
    if (wanted !== null) cache.value = wanted
    key.value = query.get('key') ?? ''
    list.beginWith(query.get('prefix') ?? '')
    const wantedKey = key.value
    if (wantedKey === '') {
      key.focus()
      showNone()
    }
    // Who asks for a key asks for that only: a list reads all that is pending.
    const isListed = names.length > 0 && (wantedKey === '' || query.has('prefix'))
    await Promise.all([
      wantedKey === '' ? undefined : look(wantedKey),
      isListed && !isClosed ? list.load() : undefined,
    ])
  })
  return {
    element,
    close: () => {
      stop()
      isClosed = true
    },
  }
}

/** @param {Inspection} found @param {() => void} again */
function shownKey(found, again) {
  const { cache, key, cached, pending, stored, deadLetters } = found
  const inCache = cached === null ? new Map() : valueColumns(cached.value)
  const written = pending === null ? new Map() : writtenColumns(pending.mutation)
  const inStore = valueColumns(stored.value)
  const names = [...new Set([...inCache.keys(), ...written.keys(), ...inStore.keys()])]
  const differs = (/** @type {string} */ name) =>
    cached !== null && stored.error === undefined && inCache.get(name) !== inStore.get(name)
  const { first, left } = mostTelling(names, differs)
  const forget = h(
    'button',
    { class: 'button', disabled: cached === null },
    'Forget the cached value',
  )
  forget.addEventListener('click', () =>
    busy(forget, async () => {
      await post(`${keyPath(cache, key)}/invalidate`)
      note('Forgotten. The next read asks the database.')
      again()
    }),
  )
  const look = h('button', { class: 'button' }, icon('refresh'), 'Look again')
  look.addEventListener('click', again)
  return [
    h(
      'div',
      { class: 'places' },
      place(
        'Cache',
        cached === null
          ? 'nothing cached'
          : cached.value === null
            ? 'knows that there is no row'
            : `value as of position ${count(cached.position)}`,
        cached !== null,
      ),
      place(
        'Pending',
        pending === null ? 'nothing pending' : `up to position ${count(pending.position)}`,
        pending !== null,
        pending === null ? undefined : kindChip(pending.mutation),
      ),
      place(
        'Database',
        stored.error !== undefined
          ? `cannot be read: ${stored.error.message}`
          : stored.value === null
            ? 'no row'
            : 'row as of just now',
        stored.error === undefined && stored.value !== null,
      ),
    ),
    names.length === 0
      ? h(
          'p',
          { class: 'card muted' },
          stored.error === undefined
            ? 'No place has a value of this key.'
            : 'Neither the cache nor the journal has a value of this key; the database may have one.',
        )
      : h(
          'section',
          { class: 'card flush', 'aria-label': `Columns of ${key}` },
          h(
            'table',
            { class: 'table stacked sides' },
            h('caption', { class: 'hidden' }, `Columns of ${cache} ${key}`),
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                ['Column', 'Cache', 'Pending', 'Database'].map((title) =>
                  h('th', { scope: 'col' }, title),
                ),
              ),
            ),
            h(
              'tbody',
              {},
              first.map((name) =>
                h(
                  'tr',
                  { class: differs(name) ? 'is-different' : '' },
                  h('th', { scope: 'row', class: 'mono' }, name),
                  cell('Cache', inCache.get(name) ?? '–'),
                  cell('Pending', written.get(name) ?? '–'),
                  cell('Database', inStore.get(name) ?? '–'),
                ),
              ),
              left,
            ),
          ),
        ),
    h(
      'div',
      { class: 'row' },
      look,
      forget,
      deadLetters.length === 0
        ? null
        : h(
            'a',
            {
              class: 'button danger',
              href: `#/dead-letters?cache=${encodeURIComponent(cache)}&key=${encodeURIComponent(key)}`,
            },
            icon('letters'),
            deadLetters.length === 1 ? '1 dead letter' : `${deadLetters.length} dead letters`,
          ),
    ),
  ]
}

/** @param {string} title @param {string} text @param {boolean} has @param {HTMLElement} [chip] */
function place(title, text, has, chip) {
  return h(
    'section',
    { class: `card place ${has ? 'has' : ''}` },
    h('h2', { class: 'label' }, title, chip),
    h('p', { class: 'wrap' }, text),
  )
}
