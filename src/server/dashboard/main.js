/** The frame around the pages: navigation, state, what is wrong, theme and keys. */

import { get, remove, whenSignedOut } from './api.js'
import { deadLettersPage } from './dead-letters-page.js'
import { ask, busy, complain, notesElement } from './dialogs.js'
import { fill, h, say } from './dom.js'
import { brief, counted, duration } from './format.js'
import { icon } from './icons.js'
import { keysPage } from './keys-page.js'
import { Live } from './live.js'
import { operationsPage, resume } from './operations-page.js'
import { overviewPage } from './overview-page.js'
import { pendingPage } from './pending-page.js'
import { showSignIn, signInByLink } from './sign-in.js'
import { nextTheme, themeButton } from './theme-switch.js'

/**
 * A page: its element, and what ends it. It may follow the live figures by itself.
 *
 * @typedef {{element: HTMLElement, close?: () => void}} Page
 * @typedef {{live: Live, query: URLSearchParams, caches: () => Promise<string[]>}} PageContext
 * @typedef {{name: string, title: string, icon: Parameters<typeof icon>[0], make: (context: PageContext) => Page}} PageEntry
 */

/** @type {readonly PageEntry[]} */
const pages = [
  { name: 'overview', title: 'Overview', icon: 'overview', make: overviewPage },
  { name: 'pending', title: 'Pending', icon: 'pending', make: pendingPage },
  { name: 'keys', title: 'Keys', icon: 'keys', make: keysPage },
  { name: 'dead-letters', title: 'Dead letters', icon: 'letters', make: deadLettersPage },
  { name: 'operations', title: 'Operations', icon: 'operations', make: operationsPage },
]

const root = h('div', { class: 'root' })
const live = new Live()
/** @type {Page | undefined} */
let page
/** @type {Promise<string[]> | undefined} */
let cacheNames

/** @returns {Promise<string[]>} */
function caches() {
  cacheNames ??= get('/api/caches').then(
    (/** @type {{caches: {cache: string}[]}} */ answer) => answer.caches.map(({ cache }) => cache),
    (/** @type {unknown} */ error) => {
      cacheNames = undefined
      throw error
    },
  )
  return cacheNames
}

const badge = h('span', { class: 'badge', hidden: true })
const navigation = h(
  'nav',
  { class: 'nav', 'aria-label': 'Pages' },
  pages.map(({ name, title, icon: iconName }) =>
    h(
      'a',
      { href: `#/${name}`, class: 'nav-link', 'data-page': name },
      icon(iconName),
      h('span', {}, title),
      name === 'dead-letters' ? badge : null,
    ),
  ),
)
const state = h('span', { class: 'state' })
const connection = h('span', { class: 'connection', hidden: true }, 'Reconnecting…')
const alerts = h('div', { class: 'alerts', role: 'status' })
const content = h('main', { class: 'content', id: 'content', tabindex: -1 })
const signOut = h(
  'button',
  { class: 'icon-button', title: 'Sign out', 'aria-label': 'Sign out' },
  icon('leave'),
)
const frame = h(
  'div',
  { class: 'frame' },
  h('a', { href: '#content', class: 'skip', onclick: skipToContent }, 'Skip to the content'),
  h(
    'header',
    { class: 'side' },
    h(
      'a',
      { class: 'brand', href: '#/overview' },
      h('img', { src: '/dashboard/icon.svg', alt: '', width: 28, height: 28 }),
      h('span', {}, 'Daybook'),
    ),
    navigation,
    h('div', { class: 'side-foot' }, state, connection, themeButton(), signOut),
  ),
  h('div', { class: 'body' }, alerts, content),
)

signOut.addEventListener('click', () =>
  busy(signOut, async () => {
    await remove('/api/session')
    signIn()
  }),
)

/** @param {Event} event */
function skipToContent(event) {
  event.preventDefault()
  content.focus()
}

function route() {
  const [, name = '', query = ''] = /^#\/([a-z-]+)(?:\?(.*))?$/.exec(location.hash) ?? []
  const entry = pages.find((one) => one.name === name) ?? pages[0]
  if (entry === undefined) return
  page?.close?.()
  closeDialogs()
  page = entry.make({ live, query: new URLSearchParams(query), caches })
  document.title = `${entry.title} · Daybook`
  for (const link of navigation.querySelectorAll('a')) {
    if (link.dataset.page === entry.name) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  fill(content, page.element)
  content.scrollTop = 0
  window.scrollTo(0, 0)
}

/** A dialog belongs to the page that it was opened from: it must not stay before another one. */
function closeDialogs() {
  for (const dialog of document.querySelectorAll('dialog')) dialog.close()
}

const stateWords = new Map([
  ['open', 'Flushing'],
  ['paused', 'Paused'],
  ['halted', 'Halted'],
  ['fenced', 'Fenced'],
  ['closing', 'Closing'],
  ['closed', 'Closed'],
])

function showFigures() {
  const { figures } = live
  if (figures === undefined) return
  const { stats, problems } = figures
  const isAway = stats.breaker.state !== 'closed'
  const has = (/** @type {string} */ wanted) => problems.some(({ code }) => code === wanted)
  const isOpen = stats.state === 'open'
  const word = isAway
    ? 'Store away'
    : isOpen && has('LAG')
      ? 'Behind'
      : isOpen && has('READS_FAIL')
        ? 'Reads fail'
        : undefined
  say(state, word ?? stateWords.get(stats.state) ?? stats.state)
  state.className = `state ${isOpen && word === undefined ? 'is-good' : 'is-bad'}`
  badge.hidden = stats.deadLetters.count === 0
  say(badge, brief(stats.deadLetters.count))
  badge.setAttribute('aria-label', counted(stats.deadLetters.count, 'dead letter'))
  showAlerts(problems, stats)
}

let alertsShown = ''

/** @param {import('./api.js').Problem[]} problems @param {import('./api.js').Stats} stats */
function showAlerts(problems, stats) {
  // Dead letters have their badge; a strip is for what stands in the way now.
  const pressing = problems.filter(({ code }) => code !== 'DEAD_LETTERS')
  const { since } = stats.breaker
  const parts = pressing.map(({ code, message }) => ({
    code,
    message:
      code === 'STORE_AWAY' && since !== undefined
        ? `${sentence(message)} For ${duration(Math.max(1_000, Date.now() - since))} now; writes go on into the journal.`
        : sentence(message),
  }))
  const said = JSON.stringify(parts)
  if (said === alertsShown) return
  alertsShown = said
  fill(
    alerts,
    parts.map(({ code, message }) =>
      h(
        'div',
        { class: `alert ${code === 'PAUSED' ? 'is-warn' : 'is-bad'}` },
        icon('warning'),
        h('span', { class: 'grow wrap' }, message),
        code === 'PAUSED' || code === 'HALTED' ? resumeButton() : null,
      ),
    ),
  )
}

function resumeButton() {
  const button = h('button', { class: 'button small' }, 'Resume')
  button.addEventListener('click', () => busy(button, resume))
  return button
}

/** @param {string} text */
function sentence(text) {
  const whole = text.endsWith('.') ? text : `${text}.`
  return whole.charAt(0).toUpperCase() + whole.slice(1)
}

live.addEventListener('figures', showFigures)
live.addEventListener('connection', () => {
  connection.hidden = live.connected === true
  if (!live.connected) {
    // What it did last is not what it does now. The server is away, or as many follow it as may.
    say(state, 'Not live')
    state.className = 'state'
  }
  frame.classList.toggle('is-stale', !live.connected)
})
addEventListener('hashchange', route)
addEventListener('keydown', (event) => {
  const target = /** @type {HTMLElement} */ (event.target)
  const isTyping = target.matches('input, textarea, select') || target.closest('dialog') !== null
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || frame.parentNode === null)
    return
  const at = Number(event.key) - 1
  if (Number.isInteger(at) && pages[at] !== undefined) location.hash = `#/${pages[at].name}`
  else if (event.key === 't') nextTheme()
  else if (event.key === '/') {
    event.preventDefault()
    content.querySelector('input')?.focus()
  } else if (event.key === '?') {
    void ask({
      title: 'Keys',
      text: h(
        'dl',
        { class: 'shortcuts' },
        pages.flatMap(({ title }, index) => [
          h('dt', {}, h('kbd', {}, String(index + 1))),
          h('dd', {}, title),
        ]),
        [h('dt', {}, h('kbd', {}, '/')), h('dd', {}, 'Search')],
        [h('dt', {}, h('kbd', {}, 't')), h('dd', {}, 'Light, dark, or as the system')],
      ),
      action: 'Close',
    })
  }
})

function signIn() {
  live.stop()
  page?.close?.()
  page = undefined
  closeDialogs()
  showSignIn(root, () => void begin())
}

async function begin() {
  try {
    await live.start()
  } catch (error) {
    if (root.querySelector('.sign-in') === null) {
      fill(root, h('main', { class: 'sign-in-page' }, h('p', {}, 'The server does not answer.')))
      complain(error)
      setTimeout(() => void begin(), 2_000)
    }
    return
  }
  fill(root, frame)
  route()
}

whenSignedOut(() => {
  if (root.querySelector('.sign-in') === null) signIn()
})
document.body.append(root, notesElement())
await signInByLink()
await begin()
