/** What the database refused: grouped by error, found by filter, and settled one, several or all at a time. */

import { get, post, withQuery } from './api.js'
import { letterDrawer } from './dead-letter-drawer.js'
import { ask, busy, complain, note } from './dialogs.js'
import { fill, h, say, uniqueId } from './dom.js'
import { firstLoad } from './first-load.js'
import { ago, count, counted, moment } from './format.js'
import { icon } from './icons.js'
import { writeLine } from './values.js'

/** @typedef {import('./api.js').DeadLetter} DeadLetter */
/** @typedef {import('./api.js').LetterGroup} LetterGroup */
/** @typedef {import('./api.js').RetryOutcome} RetryOutcome */

const pageSize = 50
/** What the server gives at most. */
const maxPageSize = 1_000
const canary = 5
const retryTimeoutMs = 60_000
const filterNames = /** @type {const} */ (['cache', 'key', 'code', 'message', 'text', 'reason'])

/** @param {import('./main.js').PageContext} context @returns {import('./main.js').Page} */
export function deadLettersPage({ live, caches, query }) {
  /** @type {Record<string, string>} */
  let filter = {}
  for (const name of filterNames) {
    const value = query.get(name)
    if (value !== null && value !== '') filter[name] = value
  }
  const wantedPrefix = query.get('keyPrefix')
  if (wantedPrefix !== null) filter['keyPrefix'] = wantedPrefix
  /** @type {Map<string, DeadLetter>} */
  let letters = new Map()
  /** @type {Set<string>} */
  const selected = new Set()
  let matching = 0
  /** @type {string | undefined} */
  let next
  let countSeen = -1
  /** Counts what was asked for: a slow answer does not take the place of a later one. */
  let loads = 0

  const ids = { text: uniqueId('text'), cache: uniqueId('cache'), reason: uniqueId('reason') }
  const text = h('input', {
    id: ids.text,
    type: 'search',
    placeholder: 'in keys and errors',
    autocomplete: 'off',
  })
  const cache = h('select', { id: ids.cache }, h('option', { value: '' }, 'All caches'))
  const reason = h(
    'select',
    { id: ids.reason },
    h('option', { value: '' }, 'Refused and parked'),
    h('option', { value: 'rejected' }, 'Refused'),
    h('option', { value: 'parked' }, 'Parked'),
  )
  const groups = h('div', { class: 'groups' })
  const total = h('p', { class: 'muted' })
  const filtered = h('div', { class: 'row' })
  const rows = h('tbody', {})
  const more = h('button', { class: 'button', hidden: true }, 'Load more')
  const chosen = h('span', { class: 'grow' })
  const all = h('input', { type: 'checkbox', 'aria-label': 'Select all that are shown' })
  const retrySelected = h('button', { class: 'button primary', disabled: true }, 'Retry selected')
  const retryFirst = h('button', { class: 'button', disabled: true }, 'Retry the first…')
  const retryAll = h('button', { class: 'button', disabled: true }, 'Retry all')
  const discard = h('button', { class: 'button danger', disabled: true }, 'Discard…')
  const exported = h(
    'a',
    { class: 'button', download: 'dead-letters.ndjson' },
    icon('down'),
    'Export',
  )
  const bar = h(
    'div',
    { class: 'bulk', role: 'toolbar', 'aria-label': 'What to do with dead letters' },
    chosen,
    retrySelected,
    retryFirst,
    retryAll,
    discard,
    exported,
  )

  const element = h(
    'div',
    { class: 'page' },
    h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Dead letters'), total)),
    groups,
    h(
      'form',
      {
        class: 'filters',
        role: 'search',
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault()
          apply({ text: text.value })
        },
      },
      h('div', { class: 'field grow' }, h('label', { for: ids.text }, 'Search'), text),
      h('div', { class: 'field' }, h('label', { for: ids.cache }, 'Cache'), cache),
      h('div', { class: 'field' }, h('label', { for: ids.reason }, 'Reason'), reason),
      h('button', { class: 'button primary' }, 'Search'),
    ),
    filtered,
    bar,
    h(
      'section',
      { class: 'card flush', 'aria-label': 'Dead letters' },
      h(
        'table',
        { class: 'table stacked letters' },
        h('caption', { class: 'hidden' }, 'Dead letters, the oldest write first'),
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            h('th', { scope: 'col' }, all),
            ['Key', 'Write', 'Error', 'Tries', 'Dead since'].map((title) =>
              h('th', { scope: 'col' }, title),
            ),
          ),
        ),
        rows,
      ),
    ),
    h('div', { class: 'row center' }, more),
  )

  /** @param {Record<string, string>} changes Empty ones take a filter away. */
  function apply(changes) {
    const merged = { ...filter, ...changes }
    filter = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== ''))
    selected.clear()
    letters = new Map()
    // The address is kept, so that it can be shared, and a reload shows the same.
    history.replaceState(null, '', withQuery('#/dead-letters', filter))
    showFilter()
    void load(false).catch(complain)
  }

  async function reload() {
    await Promise.all([load(false), loadGroups()])
  }

  /** @param {boolean} onward The page after those that are shown; else those anew, as many as there were. */
  async function load(onward) {
    loads += 1
    const mine = loads
    const answer = await get('/api/dead-letters', {
      ...filter,
      after: onward ? next : undefined,
      limit: onward ? pageSize : Math.min(Math.max(pageSize, letters.size), maxPageSize),
    })
    if (mine !== loads) return
    if (!onward) letters = new Map()
    for (const letter of /** @type {DeadLetter[]} */ (answer.letters))
      letters.set(letter.id, letter)
    for (const id of selected) if (!letters.has(id)) selected.delete(id)
    next = answer.next
    matching = answer.matching
    show()
  }

  async function loadGroups() {
    const answer = /** @type {{groups: LetterGroup[]}} */ (await get('/api/dead-letters/groups'))
    const found = gathered(answer.groups)
    fill(
      groups,
      found.slice(0, 12).map((group) => groupCard(group)),
    )
    const sum = answer.groups.reduce((letterCount, group) => letterCount + group.count, 0)
    countSeen = sum
    say(
      total,
      sum === 0
        ? 'The database has refused nothing.'
        : `${counted(sum, 'write')} that the database refused, or that wait behind one.`,
    )
  }

  /** @param {LetterGroup} group */
  function groupCard(group) {
    const isParked = group.code === 'PARKED'
    const wanted = isParked
      ? { cache: group.cache, code: group.code, message: '' }
      : { cache: group.cache, code: group.code, message: group.message }
    const isChosen =
      filter['code'] === group.code &&
      filter['cache'] === group.cache &&
      (isParked || filter['message'] === group.message)
    const button = h(
      'button',
      { class: 'group', 'aria-pressed': String(isChosen) },
      h('span', { class: 'group-count' }, count(group.count)),
      h(
        'span',
        { class: 'group-text' },
        h(
          'span',
          { class: 'group-message wrap', title: isParked ? undefined : group.message },
          isParked ? 'Parked behind a refused write of the same key' : group.message,
        ),
        h(
          'span',
          { class: 'muted small clip' },
          `${group.cache} · since ${ago(group.oldestMs, Date.now())}`,
        ),
      ),
    )
    button.addEventListener('click', () => {
      apply(isChosen ? { cache: '', code: '', message: '' } : wanted)
      void loadGroups().catch(complain)
    })
    return button
  }

  /** Only when the filter changes: what someone is typing stays when new letters come. */
  function showFilter() {
    text.value = filter['text'] ?? ''
    cache.value = filter['cache'] ?? ''
    reason.value = filter['reason'] ?? ''
  }

  function show() {
    const list = [...letters.values()]
    fill(
      rows,
      list.length === 0
        ? h(
            'tr',
            { class: 'empty' },
            h(
              'td',
              { colspan: 6 },
              icon('good'),
              Object.keys(filter).length === 0
                ? 'There are no dead letters.'
                : 'No dead letter fits.',
            ),
          )
        : list.map(row),
    )
    more.hidden = next === undefined
    fill(
      filtered,
      Object.entries(filter)
        .filter(([name]) => !['text', 'reason'].includes(name))
        .map(([name, value]) => {
          const button = h(
            'button',
            { class: 'chip removable', 'aria-label': `Take away the filter ${name} ${value}` },
            h('span', { class: 'clip' }, `${name}: ${value}`),
            icon('close'),
          )
          button.addEventListener('click', () => {
            apply({ [name]: '' })
            void loadGroups().catch(complain)
          })
          return button
        }),
    )
    filtered.hidden = filtered.childElementCount === 0
    exported.setAttribute('href', withQuery('/api/dead-letters/export', filter))
    showSelection()
  }

  function showSelection() {
    const isFiltered = Object.keys(filter).length > 0
    say(
      chosen,
      selected.size === 0
        ? matching === 0
          ? isFiltered
            ? 'No dead letter fits'
            : 'No dead letters'
          : `${counted(matching, 'dead letter')}${isFiltered ? ` ${matching === 1 ? 'fits' : 'fit'} the filter` : ''}`
        : `${count(selected.size)} selected`,
    )
    retrySelected.disabled = selected.size === 0
    retryFirst.disabled = matching === 0
    retryAll.disabled = matching === 0
    discard.disabled = matching === 0
    say(retryAll, `Retry all ${matching === 0 ? '' : count(matching)}`.trim())
    all.checked = selected.size > 0 && selected.size === letters.size
    all.indeterminate = selected.size > 0 && selected.size < letters.size
  }

  /** @param {DeadLetter} letter */
  function row(letter) {
    const { id, cache: cacheName, key, mutation, failure, attempts, deadAtMs } = letter
    const box = h('input', { type: 'checkbox', 'aria-label': `Select ${cacheName} ${key}` })
    box.checked = selected.has(id)
    box.addEventListener('change', () => {
      if (box.checked) selected.add(id)
      else selected.delete(id)
      showSelection()
    })
    const open = h('button', { class: 'link mono' }, key)
    open.addEventListener('click', () => letterDrawer(letter, () => void reload().catch(complain)))
    return h(
      'tr',
      {},
      h('td', { class: 'narrow' }, box),
      h(
        'td',
        { 'data-label': 'Key', class: 'wrap' },
        h('span', { class: 'muted small' }, `${cacheName} `),
        open,
      ),
      h('td', { 'data-label': 'Write', class: 'write' }, writeLine(mutation)),
      h(
        'td',
        { 'data-label': 'Error', class: 'wrap' },
        letter.reason === 'parked'
          ? h('span', { class: 'chip' }, 'parked')
          : h('span', { class: 'chip bad' }, failure.code),
        letter.superseded === true ? h('span', { class: 'chip warn' }, 'newer value') : null,
        h('span', { class: 'small' }, ` ${failure.message}`),
      ),
      h('td', { 'data-label': 'Tries', class: 'number' }, count(attempts)),
      h(
        'td',
        { 'data-label': 'Dead since', class: 'nowrap' },
        h('time', { title: moment(deadAtMs) }, ago(deadAtMs, Date.now())),
      ),
    )
  }

  /** What the toolbar's actions are about where nothing is selected. */
  function everything() {
    return { filter }
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {object} selection
   * @param {number} howMany
   */
  async function retry(button, selection, howMany) {
    const newer = [...letters.values()].some((letter) => letter.superseded === true)
    const answer = await ask({
      title: `Retry ${counted(howMany, 'dead letter')}?`,
      text: newer
        ? 'They are written again, with what is parked behind them. Those whose key has a newer value by now are left alone.'
        : 'They are written again, in order, with what is parked behind them.',
      action: `Retry ${count(howMany)}`,
    })
    if (answer === undefined) return
    await busy(button, async () => {
      tell(await post('/api/dead-letters/retry', { ...selection, timeoutMs: retryTimeoutMs }))
      selected.clear()
      await reload()
    })
  }

  retrySelected.addEventListener('click', () =>
    retry(retrySelected, { ids: [...selected] }, selected.size),
  )
  retryAll.addEventListener('click', () => retry(retryAll, everything(), matching))
  retryFirst.addEventListener('click', async () => {
    const first = await ask({
      title: 'Retry the first few',
      text: 'See whether what was wrong is mended before all of them are written again.',
      action: 'Retry them',
      number: { label: 'How many', value: Math.min(canary, matching), min: 1, max: matching },
    })
    if (typeof first !== 'number') return
    await busy(retryFirst, async () => {
      tell(
        await post('/api/dead-letters/retry', {
          ...everything(),
          first,
          timeoutMs: retryTimeoutMs,
        }),
      )
      await reload()
    })
  })
  discard.addEventListener('click', async () => {
    const isAll = selected.size === 0
    const howMany = isAll ? matching : selected.size
    const answer = await ask({
      title: `Discard ${counted(howMany, 'dead letter')}?`,
      text: [
        h('p', {}, 'They are given up for good: these writes will never be in the database.'),
        h('p', {}, 'Export them first, if you may want them later.'),
      ],
      action: `Discard ${count(howMany)}`,
      dangerous: true,
      retype: String(howMany),
    })
    if (answer === undefined) return
    await busy(discard, async () => {
      const selection = isAll ? everything() : { ids: [...selected] }
      const done = await post('/api/dead-letters/discard', { ...selection, confirm: howMany })
      note(`Discarded ${counted(done.discarded, 'dead letter')}.`)
      selected.clear()
      await reload()
    })
  })
  all.addEventListener('change', () => {
    if (all.checked) for (const id of letters.keys()) selected.add(id)
    else selected.clear()
    show()
  })
  cache.addEventListener('change', () => apply({ cache: cache.value, code: '', message: '' }))
  reason.addEventListener('change', () => apply({ reason: reason.value }))
  more.addEventListener('click', () => busy(more, () => load(true)))
  const follow = () => {
    const now = live.figures?.stats.deadLetters.count
    if (now === undefined || countSeen < 0 || now === countSeen) return
    countSeen = now
    // What is selected and open stays: only what is there is brought up to date.
    void reload().catch(() => undefined)
  }
  live.addEventListener('figures', follow)
  showFilter()

  const stop = firstLoad(element, async () => {
    const names = await caches()
    // Once, however often it is tried: what someone chose meanwhile stays chosen.
    if (cache.options.length === 1) {
      for (const name of names) cache.append(h('option', { value: name }, name))
      cache.value = filter['cache'] ?? ''
    }
    await reload()
  })
  return {
    element,
    close() {
      stop()
      live.removeEventListener('figures', follow)
    },
  }
}

/** What became of a retry, in words. @param {RetryOutcome} outcome */
export function tell({ retried, applied, refusedAgain, skipped, pending }) {
  const left =
    skipped.length === 0
      ? ''
      : ` ${counted(skipped.length, 'letter')} left alone: a newer value was written.`
  if (retried === 0) {
    if (left === '') note('Nothing was retried: no dead letter fits.')
    else note(left.trim())
  } else if (pending) {
    note(
      `${counted(retried, 'letter')} on the way again: safe in the journal, not in the database yet.${left}`,
    )
  } else if (refusedAgain.length === 0)
    note(`${counted(applied, 'letter')} in the database now.${left}`)
  else {
    complain(
      `Of ${counted(retried, 'letter')}, ${count(applied)} in the database now and ${count(refusedAgain.length)} refused again.${left}`,
    )
  }
}

/** Parked letters name what they are parked behind, each another: here they are one group for each cache. @param {LetterGroup[]} groups */
function gathered(groups) {
  /** @type {Map<string, LetterGroup>} */
  const parked = new Map()
  for (const group of groups) {
    if (group.code !== 'PARKED') continue
    const before = parked.get(group.cache)
    parked.set(group.cache, {
      ...group,
      count: group.count + (before?.count ?? 0),
      oldestMs: Math.min(group.oldestMs, before?.oldestMs ?? Infinity),
    })
  }
  return [...groups.filter(({ code }) => code !== 'PARKED'), ...parked.values()].sort(
    (left, right) => right.count - left.count,
  )
}
