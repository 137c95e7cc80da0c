/** What can be done to the whole: flush, drain, pause and resume, options, and who did what. */

import { get, patch, post } from './api.js'
import { ask, busy, complain, note } from './dialogs.js'
import { fill, h, say, uniqueId } from './dom.js'
import { firstLoad } from './first-load.js'
import { ago, bytes, counted, moment } from './format.js'

/** @typedef {import('./api.js').AuditEntry} AuditEntry */
/** @typedef {Record<string, unknown>} Options */

const timeoutMs = 60_000

export async function resume() {
  await post('/api/resume')
  note('Flushing goes on.')
}

/** @param {import('./main.js').PageContext} context @returns {import('./main.js').Page} */
export function operationsPage({ live }) {
  const flush = h('button', { class: 'button primary' }, 'Flush now')
  const drain = h('button', { class: 'button' }, 'Drain')
  const pause = h('button', { class: 'button' }, 'Pause')
  const status = h('p', { class: 'muted' })
  const options = h('div', {}, h('p', { class: 'muted' }, 'Reading the options…'))
  const audit = h('tbody', {})
  let isPaused = false

  const element = h(
    'div',
    { class: 'page' },
    h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Operations'), status)),
    h(
      'div',
      { class: 'tiles three' },
      action(
        'Flush',
        'Brings all that was written so far to the database now, without waiting for more.',
        flush,
      ),
      action(
        'Drain',
        'Flushes until nothing is pending, for a minute at most. Writes go on meanwhile.',
        drain,
      ),
      action(
        'Pause',
        'Stops flushing, for work on the database. Writes go on into the journal.',
        pause,
      ),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'options-title' },
      h('h2', { id: 'options-title' }, 'Options'),
      h(
        'p',
        { class: 'muted' },
        'In force at once, until the next start: what the configuration says comes back then.',
      ),
      options,
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'audit-title' },
      h('h2', { id: 'audit-title' }, 'What was done here'),
      h(
        'table',
        { class: 'table stacked', 'aria-labelledby': 'audit-title' },
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            ['When', 'Action', 'Details', 'By', 'Outcome'].map((title) =>
              h('th', { scope: 'col' }, title),
            ),
          ),
        ),
        audit,
      ),
    ),
  )

  async function showAudit() {
    const answer = /** @type {{entries: AuditEntry[]}} */ (await get('/api/audit', { limit: 50 }))
    fill(
      audit,
      answer.entries.length === 0
        ? h('tr', { class: 'empty' }, h('td', { colspan: 5 }, 'Nothing yet.'))
        : answer.entries.map(auditRow),
    )
  }

  async function showOptions() {
    const shown = await get('/api/options')
    fill(
      options,
      optionsForm(shown.live, () => void showAll().catch(complain)),
      fixedOptions(shown.fixed),
    )
  }

  async function showAll() {
    await Promise.all([showOptions(), showAudit()])
  }

  function show() {
    const stats = live.figures?.stats
    if (stats === undefined) return
    isPaused = stats.state === 'paused' || stats.state === 'halted'
    say(pause, isPaused ? 'Resume' : 'Pause')
    say(
      status,
      stats.pending.mutations === 0
        ? 'Nothing is pending.'
        : `${counted(stats.pending.mutations, 'mutation')} pending.`,
    )
  }

  /** @param {HTMLButtonElement} button @param {() => Promise<void>} work */
  const does = (button, work) =>
    button.addEventListener('click', async () => {
      await busy(button, work)
      await showAudit().catch(complain)
    })
  does(flush, async () => {
    const { flushed, pending, newDeadLetters } = await post('/api/flush', { timeoutMs })
    const refused =
      newDeadLetters > 0 ? ` The database refused ${counted(newDeadLetters, 'write')}.` : ''
    note(
      `Flushed ${counted(flushed, 'mutation')}. ${pending === 0 ? 'Everything is in the database.' : `${counted(pending, 'mutation')} came in since.`}${refused}`,
    )
  })
  does(drain, async () => {
    const { flushed, pending } = await post('/api/drain', { timeoutMs })
    note(
      pending === 0
        ? `Drained: ${counted(flushed, 'mutation')} flushed, nothing is pending.`
        : `${counted(flushed, 'mutation')} flushed; ${counted(pending, 'mutation')} still pending.`,
    )
  })
  does(pause, async () => {
    if (isPaused) return resume()
    const answer = await ask({
      title: 'Pause flushing?',
      text: 'Writes go on into the journal, and the lag grows until you resume.',
      action: 'Pause',
    })
    if (answer === undefined) return
    await post('/api/pause')
    note('Flushing is paused.')
  })
  live.addEventListener('figures', show)
  show()
  const stop = firstLoad(element, showAll)
  return {
    element,
    close() {
      stop()
      live.removeEventListener('figures', show)
    },
  }
}

/** @param {string} title @param {string} text @param {HTMLButtonElement} button */
function action(title, text, button) {
  return h(
    'section',
    { class: 'card stack' },
    h('h2', {}, title),
    h('p', { class: 'muted grow' }, text),
    h('div', {}, button),
  )
}

/** Label, path, unit and kind of what can change. */
const liveOptions = /** @type {const} */ ([
  ['Flush delay', ['flush', 'delayMs'], 'ms', 'how long a write waits for others'],
  ['Batch, keys', ['flush', 'maxKeys'], 'keys', 'a batch is sealed at this many'],
  ['Batch, bytes', ['flush', 'maxBytes'], 'bytes', 'or at this many'],
  ['Row limit', ['flush', 'maxRowsPerSecond'], 'rows/s', 'empty: no limit'],
  ['First retry pause', ['flush', 'retryBaseMs'], 'ms', 'with full jitter'],
  ['Longest retry pause', ['flush', 'retryMaxMs'], 'ms', ''],
  ['Pending in memory', ['pressure', 'memoryBytes'], 'bytes', 'beyond it the journal has them'],
  ['Wait for room', ['pressure', 'waitMs'], 'ms', 'deadline of a write'],
  ['Stall warning', ['stallMs'], 'ms', 'when something is due for this long'],
  ['Drain at close', ['drainTimeoutMs'], 'ms', 'what is left stays in the journal'],
])

/** @param {Options} current @param {() => void} onSaved */
function optionsForm(current, onSaved) {
  const inputs = liveOptions.map(([label, path, unit, hint]) => {
    const id = uniqueId('option')
    const value = at(current, path)
    const input = h('input', {
      id,
      type: 'number',
      min: 0,
      step: 1,
      value: value ?? '',
      required: path.at(-1) !== 'maxRowsPerSecond',
    })
    const field = h(
      'div',
      { class: 'field' },
      h('label', { for: id }, label, ' ', h('span', { class: 'muted' }, `(${unit})`)),
      input,
      h('p', { class: 'muted small' }, hint),
    )
    return { path, input, field, before: input.value }
  })
  const save = h('button', { class: 'button primary', disabled: true }, 'Change')
  const changed = () => inputs.filter(({ input, before }) => input.value !== before)
  const form = h(
    'form',
    {
      oninput: () => {
        save.disabled = changed().length === 0
      },
      onsubmit: async (/** @type {SubmitEvent} */ event) => {
        event.preventDefault()
        await busy(save, async () => {
          /** @type {Record<string, any>} */
          const changes = {}
          for (const { path, input } of changed()) {
            const value = input.value === '' ? null : Number(input.value)
            const [first, second] = path
            if (second === undefined) changes[first] = value
            else changes[first] = { ...changes[first], [second]: value }
          }
          await patch('/api/options', changes)
          note('Changed, and in force.')
          onSaved()
        })
      },
    },
    h(
      'div',
      { class: 'option-grid' },
      inputs.map(({ field }) => field),
    ),
    save,
  )
  return form
}

/** @param {Options} options @param {readonly string[]} path */
function at(options, path) {
  /** @type {any} */
  let value = options
  for (const name of path) value = value?.[name]
  return value
}

/** @param {any} fixed */
function fixedOptions(fixed) {
  const items = [
    ['Directory', fixed.directory],
    ['Lanes', String(fixed.lanes)],
    ['Journal, at most', bytes(fixed.journal.maxBytes)],
    ['Journal, kept after the flush', bytes(fixed.journal.retainBytes)],
    ['Dead letters, at most', bytes(fixed.deadLetterBytes)],
  ]
  return h(
    'details',
    { class: 'fixed' },
    h('summary', {}, 'What only a restart changes'),
    h(
      'dl',
      { class: 'facts' },
      items.flatMap(([name, value]) => [h('dt', {}, name), h('dd', { class: 'mono wrap' }, value)]),
    ),
  )
}

/** @param {AuditEntry} entry */
function auditRow({ atMs, action: what, details, by, address, outcome }) {
  const text = Object.keys(details).length === 0 ? '' : JSON.stringify(details)
  return h(
    'tr',
    {},
    h(
      'td',
      { 'data-label': 'When', class: 'nowrap' },
      h('time', { title: moment(atMs) }, ago(atMs, Date.now())),
    ),
    h('td', { 'data-label': 'Action', class: 'mono words' }, what.replace('/api/', '')),
    h('td', { 'data-label': 'Details', class: 'mono small wrap' }, text.slice(0, 200)),
    h('td', { 'data-label': 'By', class: 'nowrap' }, `${by} · ${address}`),
    h(
      'td',
      { 'data-label': 'Outcome' },
      h(
        'span',
        { class: `chip ${outcome === 'done' ? 'good' : outcome === undefined ? '' : 'bad'}` },
        outcome ?? 'unknown',
      ),
    ),
  )
}
