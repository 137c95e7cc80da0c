/** How is it now, and how was it: lag first, then what goes in and out, the store, budgets, lanes and news. */

import { get } from './api.js'
import { durationCeiling, meter, sparkline, timeChart } from './charts.js'
import { fill, h, say } from './dom.js'
import {
  ago,
  brief,
  bytes,
  count,
  counted,
  duration,
  durationParts,
  moment,
  rate,
  ratio,
} from './format.js'
import { icon } from './icons.js'

/** @typedef {import('./api.js').Stats} Stats */
/** @typedef {import('./api.js').Sample} Sample */

/** @param {import('./main.js').PageContext} context @returns {import('./main.js').Page} */
export function overviewPage({ live }) {
  let isLong = false
  const lag = h('span', { class: 'hero-number' })
  const lagUnit = h('span', { class: 'hero-unit' })
  const verdict = h('p', { class: 'hero-verdict' })
  const lagChart = timeChart({
    series: [
      {
        label: 'Lag',
        className: 'series-1',
        of: (/** @type {Sample} */ at) => at.lagMs,
        area: true,
      },
    ],
    format: (ms) => duration(ms).replace('.0 ', ' '),
    ceiling: durationCeiling,
    marked: (/** @type {Sample} */ at) => !at.storeUp,
    summary: (samples) =>
      samples.length < 2
        ? 'Lag: no history yet.'
        : `Lag: now ${duration(samples[samples.length - 1].lagMs)}, at most ${duration(highest(samples, 'lagMs'))}.`,
  })
  const ranges = rangeSwitch((long) => {
    isLong = long
    draw()
  })

  const pending = tile('Pending', (/** @type {Sample} */ at) => at.pending)
  const flush = tile('Flush, median', (/** @type {Sample} */ at) => at.flushMaxMs)
  const sync = tile('Sync, median', (/** @type {Sample} */ at) => at.syncP99Ms)
  const hits = tile('Cache hits')
  const flowChart = timeChart({
    series: [
      {
        label: 'Writes in',
        className: 'series-2',
        of: (/** @type {Sample} */ at) => at.writesPerSecond,
        area: true,
      },
      {
        label: 'Rows out',
        className: 'series-1',
        of: (/** @type {Sample} */ at) => at.rowsPerSecond,
      },
    ],
    format: (value) => `${rate(value)}/s`,
    height: 130,
    summary: (samples) => {
      const last = samples[samples.length - 1]
      return last === undefined
        ? 'Writes and rows: no history yet.'
        : `Now ${rate(last.writesPerSecond)} writes in and ${rate(last.rowsPerSecond)} rows out a second.`
    },
  })
  const writesIn = h('strong', {})
  const rowsOut = h('strong', {})
  const coalescing = h('span', { class: 'big' })
  const coalescingNote = h('p', { class: 'muted small' })

  const storeState = h('p', { class: 'store-state' })
  const storeNote = h('p', { class: 'muted small wrap' })
  const memory = meter('Pending in memory', bytes)
  const journal = meter('Journal on disk', bytes)
  const letters = meter('Dead letters on disk', bytes)
  const pressure = h('p', { class: 'muted small' })
  const lanes = h('tbody', {})
  const caches = h('tbody', {})
  const news = h('ol', { class: 'news' })

  const element = h(
    'div',
    { class: 'page' },
    h('h1', { class: 'hidden' }, 'Overview'),
    h(
      'section',
      { class: 'card hero', 'aria-labelledby': 'lag-title' },
      h(
        'div',
        { class: 'hero-head' },
        h(
          'div',
          {},
          h('h2', { id: 'lag-title', class: 'label' }, 'Lag'),
          h('p', { class: 'hero-figure' }, lag, lagUnit),
        ),
        ranges,
      ),
      verdict,
      lagChart.element,
    ),
    h('div', { class: 'tiles' }, pending.element, flush.element, sync.element, hits.element),
    h(
      'div',
      { class: 'columns' },
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'flow-title' },
        h(
          'div',
          { class: 'card-head' },
          h('h2', { id: 'flow-title' }, 'Writes in, rows out'),
          h(
            'p',
            { class: 'legend' },
            h('span', { class: 'key series-2' }, 'writes ', writesIn),
            h('span', { class: 'key series-1' }, 'rows ', rowsOut),
          ),
        ),
        flowChart.element,
        h('p', { class: 'coalescing' }, coalescing, h('span', {}, ' writes become one row')),
        coalescingNote,
      ),
      h(
        'section',
        { class: 'card stack', 'aria-labelledby': 'store-title' },
        h('h2', { id: 'store-title' }, 'Store and budgets'),
        h('div', {}, storeState, storeNote),
        memory.element,
        journal.element,
        letters.element,
        pressure,
      ),
    ),
    h(
      'div',
      { class: 'columns' },
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'lanes-title' },
        h('h2', { id: 'lanes-title' }, 'Lanes'),
        h(
          'div',
          { class: 'scroll' },
          h(
            'table',
            { class: 'table numbers', 'aria-labelledby': 'lanes-title' },
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                ['Lane', 'State', 'Pending', 'Lag'].map((title) =>
                  h('th', { scope: 'col' }, title),
                ),
                ['Checkpoint', 'Position'].map((title) =>
                  h('th', { scope: 'col', class: 'wide-only' }, title),
                ),
              ),
            ),
            lanes,
          ),
        ),
      ),
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'caches-title' },
        h('h2', { id: 'caches-title' }, 'Caches'),
        h(
          'div',
          { class: 'scroll' },
          h(
            'table',
            { class: 'table numbers', 'aria-labelledby': 'caches-title' },
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                h('th', { scope: 'col' }, 'Cache'),
                h('th', { scope: 'col', class: 'wide-only' }, 'Table'),
                ['Values', 'Size', 'Hits'].map((title) => h('th', { scope: 'col' }, title)),
              ),
            ),
            caches,
          ),
        ),
      ),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'news-title' },
      h('h2', { id: 'news-title' }, 'What happened'),
      news,
    ),
  )

  function draw() {
    const samples = isLong ? live.coarse : live.samples
    lagChart.draw(samples)
    flowChart.draw(samples)
    for (const one of [pending, flush, sync]) one.draw(samples)
  }

  function show() {
    const { figures } = live
    if (figures === undefined) return
    const { stats, sample } = figures
    const [value, unit] = durationParts(stats.lagMs)
    say(lag, value)
    say(lagUnit, unit)
    say(verdict, verdictOf(stats))
    element.querySelector('.hero')?.classList.toggle('is-bad', isStuck(figures))
    pending.say(
      brief(stats.pending.mutations),
      stats.pending.mutations === 0
        ? 'all is in the database'
        : `${bytes(stats.pending.bytes)}${drained(stats)}`,
    )
    flush.say(
      duration(stats.batches.tookMs.p50),
      `p99 ${duration(stats.batches.tookMs.p99)} · ${brief(stats.batches.count)} ${stats.batches.count === 1 ? 'batch' : 'batches'}`,
    )
    sync.say(
      duration(stats.journal.syncMs.p50),
      `p99 ${duration(stats.journal.syncMs.p99)} · ${brief(stats.journal.commits)} ${stats.journal.commits === 1 ? 'commit' : 'commits'}`,
    )
    const { hits: hit, misses } = stats.cache
    hits.say(
      hit + misses === 0 ? '–' : `${(stats.cache.ratio * 100).toFixed(1)} %`,
      `${brief(stats.cache.entries)} values · ${bytes(stats.cache.bytes)}`,
    )
    say(writesIn, `${rate(sample.writesPerSecond)}/s`)
    say(rowsOut, `${rate(sample.rowsPerSecond)}/s`)
    say(coalescing, ratio(stats.coalescing.ratio))
    say(
      coalescingNote,
      `${count(stats.coalescing.mutations)} writes flushed as ${counted(stats.coalescing.rows, 'row')} since the start; ${counted(stats.retries, 'retry').replace('retrys', 'retries')}.`,
    )
    showStore(stats)
    memory.draw(stats.pending.memoryBytes, stats.limits.memoryBytes)
    journal.draw(stats.journal.bytes, stats.limits.journalBytes)
    letters.draw(stats.deadLetters.bytes, stats.limits.deadLetterBytes)
    say(pressure, pressureOf(stats))
    fill(lanes, stats.lanes.map(laneRow))
    draw()
  }

  /** @param {Stats} stats */
  function showStore({ breaker, cache: { readFailure } }) {
    const isUp = breaker.state === 'closed'
    if (isUp && readFailure !== undefined) {
      fill(storeState, h('span', { class: 'dot is-bad' }), 'The store does not answer reads')
      say(
        storeNote,
        `${readFailure.code}: ${readFailure.message.replace(/\.$/, '')}. Writes go on.`,
      )
      return
    }
    fill(
      storeState,
      h('span', { class: `dot ${isUp ? 'is-good' : 'is-bad'}` }),
      isUp ? 'The store answers' : 'The store is away',
    )
    if (isUp) {
      say(storeNote, 'The circuit breaker is closed.')
      return
    }
    const next =
      breaker.state === 'probing' || breaker.nextProbeInMs === undefined
        ? 'being tried now'
        : `next try in ${duration(breaker.nextProbeInMs)}`
    const why =
      breaker.lastFailure === undefined
        ? ''
        : ` ${breaker.lastFailure.code}: ${breaker.lastFailure.message}`
    say(storeNote, `${counted(breaker.failures, 'failed attempt')}, ${next}.${why}`)
  }

  function showNews() {
    const newest = live.happenings.slice(-12).reverse()
    fill(
      news,
      newest.length === 0
        ? h('li', { class: 'muted' }, 'Nothing of note since the server started.')
        : newest.map(({ atMs, name, message }) =>
            h(
              'li',
              {},
              h('span', { class: `dot ${goodNews.has(name) ? 'is-good' : 'is-bad'}` }),
              h('span', { class: 'grow wrap' }, message),
              h('time', { class: 'muted small', title: moment(atMs) }, ago(atMs, Date.now())),
            ),
          ),
    )
  }

  async function showCaches() {
    try {
      const answer = /** @type {{caches: import('./api.js').CacheStatus[]}} */ (
        await get('/api/caches')
      )
      fill(
        caches,
        answer.caches.length === 0
          ? h('tr', {}, h('td', { colspan: 5, class: 'muted' }, 'No cache is declared.'))
          : answer.caches.map(cacheRow),
      )
    } catch {
      // The next round shows them; the frame says that the server is away.
    }
  }

  live.addEventListener('figures', show)
  live.addEventListener('happened', showNews)
  const timer = setInterval(() => {
    void showCaches()
    showNews()
  }, 5_000)
  void showCaches()
  showNews()
  show()
  return {
    element,
    close() {
      live.removeEventListener('figures', show)
      live.removeEventListener('happened', showNews)
      clearInterval(timer)
    },
  }
}

const goodNews = new Set(['storeUp', 'journalRecovered', 'rolledForward', 'pressure'])

/** @param {string} title @param {(sample: Sample) => number | null} [of] */
function tile(title, of) {
  const value = h('p', { class: 'tile-value' })
  const detail = h('p', { class: 'muted small' })
  const line = of === undefined ? undefined : sparkline(of, `${title}, trend`)
  return {
    element: h(
      'section',
      { class: 'card tile' },
      h('h2', { class: 'label' }, title),
      value,
      detail,
      line?.element,
    ),
    /** @param {string} text @param {string} more */
    say(text, more) {
      say(value, text)
      say(detail, more)
    },
    /** @param {Sample[]} samples */
    draw(samples) {
      line?.draw(samples)
    },
  }
}

/** @param {(long: boolean) => void} onChange */
function rangeSwitch(onChange) {
  const buttons = /** @type {const} */ ([
    ['10 min', false],
    ['6 h', true],
  ]).map(([text, long]) => {
    const button = h('button', { class: 'segment', 'aria-pressed': String(!long) }, text)
    button.addEventListener('click', () => {
      for (const other of buttons) other.setAttribute('aria-pressed', String(other === button))
      onChange(long)
    })
    return button
  })
  return h('div', { class: 'segments', role: 'group', 'aria-label': 'Time shown' }, buttons)
}

/** @param {Stats} stats */
function verdictOf(stats) {
  if (stats.breaker.state !== 'closed') {
    return 'The store is away. What is written is safe in the journal and will be flushed when it is back.'
  }
  if (stats.state === 'paused') return 'Flushing is paused. What is written is safe in the journal.'
  if (stats.state !== 'open') return `Nothing is flushed: this daybook is ${stats.state}.`
  if (stats.pending.mutations === 0) return 'Everything that was acknowledged is in the database.'
  return 'The oldest write that is not in the database yet is this old.'
}

/** @param {import('./api.js').Figures} figures */
function isStuck({ problems }) {
  return problems.some(({ code }) => ['STORE_AWAY', 'HALTED', 'FENCED', 'LAG'].includes(code))
}

/** @param {Stats} stats */
function drained({ drainEstimateMs, breaker, state }) {
  if (drainEstimateMs === undefined || breaker.state !== 'closed' || state !== 'open') return ''
  return drainEstimateMs < 1_000 ? '' : ` · drained in ${duration(drainEstimateMs)}`
}

/** @param {Stats} stats */
function pressureOf({ pressure, pending }) {
  if (pressure.state === 'limit' && pressure.waitingWrites === 0) {
    return 'The journal’s budget is used up: writes wait or are refused.'
  }
  if (pressure.state === 'limit') {
    return `${counted(pressure.waitingWrites, 'write')} stand in line: a budget is used up.`
  }
  if (pressure.state === 'spilling') {
    return `${counted(pending.spilledMutations, 'pending mutation')} left memory; the journal has them.`
  }
  return 'No pressure: writes are taken at once.'
}

/** @param {import('./api.js').Lane} lane */
function laneRow({ lane, state, pending, lagMs, checkpoint, position }) {
  const isBad = ['waiting', 'halted', 'fenced', 'paused', 'parents'].includes(state)
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, String(lane)),
    h('td', {}, h('span', { class: `chip ${isBad ? 'warn' : ''}` }, state)),
    h('td', {}, count(pending)),
    h('td', {}, duration(lagMs)),
    h('td', { class: 'wide-only' }, count(checkpoint)),
    h('td', { class: 'wide-only' }, count(position)),
  )
}

/** @param {import('./api.js').CacheStatus} status */
function cacheRow({ cache, table, entries = 0, bytes: size = 0, hits = 0, misses = 0, error }) {
  const name = h(
    'th',
    { scope: 'row' },
    h('a', { href: `#/keys?cache=${encodeURIComponent(cache)}` }, cache),
  )
  if (error !== undefined) {
    return h(
      'tr',
      {},
      name,
      h('td', { colspan: 4, class: 'error wrap' }, icon('warning'), error.message),
    )
  }
  return h(
    'tr',
    {},
    name,
    h('td', { class: 'mono wide-only' }, table),
    h('td', {}, brief(entries)),
    h('td', {}, bytes(size)),
    h('td', {}, hits + misses === 0 ? '–' : `${((hits / (hits + misses)) * 100).toFixed(1)} %`),
  )
}

/** @param {Sample[]} samples @param {'lagMs'} name */
function highest(samples, name) {
  return samples.reduce((most, sample) => Math.max(most, sample[name]), 0)
}
