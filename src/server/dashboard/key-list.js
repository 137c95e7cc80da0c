/** The keys of a cache, to choose one from: a page at a time, those that begin alike. */

import { ApiError, get } from './api.js'
import { busy, note } from './dialogs.js'
import { append, fill, h, say, uniqueId } from './dom.js'
import { counted } from './format.js'

const pageSize = 100
/** The server looks at a bounded number of keys for an answer, so one may have few: so many are asked for, for a page. */
const maxAnswers = 20

/**
 * @param {object} parts
 * @param {() => string} parts.cache Whose keys they are.
 * @param {(key: string) => string} parts.linkTo The address of a key.
 * @param {(key: string) => void} parts.onChosen
 * @param {() => void} parts.onListed
 */
export function keyList({ cache, linkTo, onChosen, onListed }) {
  const titleId = uniqueId('title')
  const prefixId = uniqueId('prefix')
  const prefix = h('input', {
    id: prefixId,
    type: 'search',
    placeholder: 'any',
    autocomplete: 'off',
    spellcheck: 'false',
  })
  const list = h('button', { class: 'button' }, 'List')
  const keys = h('ul', { class: 'key-list', 'aria-labelledby': titleId, hidden: true })
  const state = h('p', { class: 'muted small', role: 'status' }, 'Not listed yet.')
  const more = h('button', { class: 'button small', hidden: true }, 'Load more')
  /** What is listed, which may not be what the fields say by now. */
  let shown = { cache: '', prefix: '' }
  /** @type {string | undefined} */
  let next
  let chosen = ''
  /** Counts lists: what an earlier one still asked for is not shown. */
  let listing = 0
  let hasFailed = false

  const element = h(
    'section',
    { class: 'card flush key-browser', 'aria-labelledby': titleId },
    h('h2', { id: titleId, class: 'hidden' }, 'Keys of the cache'),
    h(
      'form',
      {
        class: 'key-filter',
        role: 'search',
        'aria-label': 'Keys of the cache',
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault()
          void busy(list, load)
        },
      },
      h(
        'div',
        { class: 'field grow' },
        h('label', { for: prefixId }, 'Keys that begin with'),
        prefix,
      ),
      list,
    ),
    keys,
    h('div', { class: 'key-foot' }, state, more),
  )

  /** Lists anew. */
  async function load() {
    listing += 1
    shown = { cache: cache(), prefix: prefix.value }
    next = undefined
    say(state, 'Listing…')
    fill(keys)
    onListed()
    await find(listing)
  }

  async function goOn() {
    const before = listing
    try {
      await find(before)
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'CURSOR_UNKNOWN')) throw error
      if (before !== listing) return
      note('The list had expired, and was begun again.')
      await load()
    }
  }

  /** @param {number} mine */
  async function find(mine) {
    hasFailed = false
    state.classList.remove('error')
    try {
      let found = 0
      for (let answers = 0; answers < maxAnswers && found < pageSize; answers++) {
        const answer = await get(`/api/caches/${encodeURIComponent(shown.cache)}/keys`, {
          prefix: shown.prefix,
          after: next,
          limit: pageSize - found,
        })
        if (mine !== listing) return
        next = answer.next
        found += answer.keys.length
        append(keys, answer.keys.map(item))
        if (next === undefined) break
      }
      show()
    } catch (error) {
      if (mine !== listing) return
      hasFailed = true
      show()
      if (error instanceof ApiError && error.code === 'CURSOR_UNKNOWN') throw error
      say(state, error instanceof Error ? error.message : String(error))
      state.classList.add('error')
    }
  }

  function show() {
    const { childElementCount: found } = keys
    keys.hidden = found === 0
    // Where even the first keys could not be had, the same button begins again.
    more.hidden = next === undefined && !hasFailed
    say(more, hasFailed ? 'Try again' : 'Load more')
    const isAll = next === undefined
    if (found > 0) say(state, isAll ? counted(found, 'key') : `${counted(found, 'key')} so far`)
    else if (!isAll) say(state, 'None of the keys looked at so far.')
    else say(state, shown.prefix === '' ? 'There are no keys.' : 'No key begins so.')
    mark()
  }

  /** @param {string} key */
  function item(key) {
    const link = h('a', { href: linkTo(key), class: 'key-link mono', 'data-key': key }, key)
    link.addEventListener('click', (event) => {
      // To a tab of its own, as any link.
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
      event.preventDefault()
      onChosen(key)
    })
    return h('li', {}, link)
  }

  /** The chosen key is marked. One key is in the order of Tab, and from there the arrows go on. */
  function mark() {
    const all = links()
    for (const link of all) {
      if (link.dataset.key === chosen) link.setAttribute('aria-current', 'true')
      else link.removeAttribute('aria-current')
    }
    reach(all.find((link) => link.dataset.key === chosen) ?? all[0])
  }

  function links() {
    return [...keys.querySelectorAll('a')]
  }

  /** @param {HTMLElement | undefined} wanted */
  function reach(wanted) {
    for (const link of links()) link.tabIndex = link === wanted ? 0 : -1
  }

  keys.addEventListener('keydown', (event) => {
    const all = links()
    const at = all.findIndex((link) => link === document.activeElement)
    const to = new Map([
      ['ArrowDown', Math.min(at + 1, all.length - 1)],
      ['ArrowUp', Math.max(at - 1, 0)],
      ['Home', 0],
      ['End', all.length - 1],
    ]).get(event.key)
    if (to === undefined) return
    event.preventDefault()
    reach(all[to])
    all[to]?.focus()
  })
  more.addEventListener('click', () => busy(more, () => (next === undefined ? load() : goOn())))

  return {
    element,
    load,
    /** What is listed begins so; undefined where nothing is. */
    prefix: () => (listing === 0 ? undefined : shown.prefix),
    /** @param {string} text */
    beginWith(text) {
      prefix.value = text
    },
    /** @param {string} key */
    choose(key) {
      chosen = key
      mark()
    },
  }
}
