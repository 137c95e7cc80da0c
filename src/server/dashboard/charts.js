/**
 * Charts as SVG. They are drawn anew each second, so they are small: two paths, a few lines, and a cursor.
 */

import { fill, h, s, say } from './dom.js'
import { clockTime } from './format.js'

/** @typedef {{label: string, className: string, of: (sample: any) => number | null, area?: boolean}} Series */

const width = 720

/**
 * A chart over time with axes and a cursor that shows values. `summary` says in words what the chart shows.
 *
 * @param {object} options
 * @param {readonly Series[]} options.series
 * @param {(value: number) => string} options.format
 * @param {(samples: any[]) => string} options.summary
 * @param {number} [options.height]
 * @param {(value: number) => number} [options.ceiling] The end of the axis for a greatest value.
 * @param {(sample: any) => boolean} [options.marked] Moments with a coloured ground, such as those of an outage.
 */
export function timeChart({
  series,
  format,
  summary,
  height = 180,
  ceiling = niceCeiling,
  marked,
}) {
  const picture = s('svg', {
    viewBox: `0 0 ${width} ${height}`,
    class: 'chart',
    role: 'img',
    preserveAspectRatio: 'none',
  })
  const yAxis = h('div', { class: 'chart-y', 'aria-hidden': 'true' })
  const xAxis = h('div', { class: 'chart-x', 'aria-hidden': 'true' })
  const cursor = h('div', { class: 'chart-cursor', hidden: true })
  const tip = h('div', { class: 'chart-tip', hidden: true })
  const plot = h('div', { class: 'chart-plot' }, picture, cursor, tip)
  const element = h('div', { class: 'chart-box' }, yAxis, plot, xAxis)
  /** @type {any[]} */
  let shownSamples = []

  plot.addEventListener('pointermove', (event) => {
    if (shownSamples.length < 2) return
    const { left, width: plotWidth } = plot.getBoundingClientRect()
    const first = shownSamples[0].atMs
    const span = shownSamples[shownSamples.length - 1].atMs - first
    const share = Math.min(1, Math.max(0, (event.clientX - left) / plotWidth))
    const sample = nearest(shownSamples, first + share * span)
    const at = ((sample.atMs - first) / span) * 100
    cursor.hidden = false
    tip.hidden = false
    cursor.style.left = `${at}%`
    tip.style.left = at > 60 ? 'auto' : `calc(${at}% + 10px)`
    tip.style.right = at > 60 ? `calc(${100 - at}% + 10px)` : 'auto'
    fill(
      tip,
      h(
        'strong',
        {},
        clockTime(sample.atMs),
        ':',
        String(new Date(sample.atMs).getSeconds()).padStart(2, '0'),
      ),
      series.map((one) => {
        const value = one.of(sample)
        return h(
          'span',
          { class: `key ${one.className}` },
          `${one.label} ${value === null ? '–' : format(value)}`,
        )
      }),
    )
  })
  plot.addEventListener('pointerleave', () => {
    cursor.hidden = true
    tip.hidden = true
  })

  return {
    element,
    /** @param {any[]} samples */
    draw(samples) {
      shownSamples = samples
      picture.setAttribute('aria-label', summary(samples))
      const top = ceiling(greatestOf(samples, series))
      fill(yAxis, h('span', {}, format(top)), h('span', {}, format(top / 2)), h('span', {}, '0'))
      const ends = samples.length < 2 ? [] : [samples[0], samples[samples.length - 1]]
      fill(
        xAxis,
        ends.map(({ atMs }) => h('span', {}, clockTime(atMs))),
      )
      fill(
        picture,
        marked === undefined ? [] : bands(samples, marked, height),
        [0.002, 0.5, 0.998].map((at) =>
          s('line', { x1: 0, x2: width, y1: at * height, y2: at * height, class: 'grid' }),
        ),
        series.flatMap((one) => shapes(samples, one, top, height)),
      )
    },
  }
}

/**
 * A line without axes.
 *
 * @param {(sample: any) => number | null} of
 * @param {string} label
 * @param {string} [className]
 */
export function sparkline(of, label, className = 'series-1') {
  const height = 36
  const picture = s('svg', {
    viewBox: `0 0 ${width} ${height}`,
    class: 'spark',
    role: 'img',
    'aria-label': label,
    preserveAspectRatio: 'none',
  })
  const series = { label, className, of, area: true }
  return {
    element: picture,
    /** @param {any[]} samples */
    draw(samples) {
      fill(picture, shapes(samples, series, niceCeiling(greatestOf(samples, [series])), height))
    },
  }
}

/**
 * How much of a budget is used up.
 *
 * @param {string} label
 * @param {(value: number) => string} format
 */
export function meter(label, format) {
  const text = h('span', { class: 'meter-text' })
  const bar = h('span', { class: 'meter-fill' })
  const track = h(
    'span',
    { class: 'meter-track', role: 'meter', 'aria-label': label, 'aria-valuemin': 0 },
    bar,
  )
  return {
    element: h('div', { class: 'meter' }, h('span', { class: 'meter-name' }, label), text, track),
    /** @param {number} value @param {number} max */
    draw(value, max) {
      const share = max === 0 ? (value === 0 ? 0 : 1) : Math.min(1, value / max)
      say(text, `${format(value)} of ${format(max)}`)
      bar.style.width = `${Math.max(share * 100, value > 0 ? 0.8 : 0)}%`
      track.className = `meter-track ${share > 0.9 ? 'is-bad' : share > 0.7 ? 'is-warn' : ''}`
      track.setAttribute('aria-valuemax', String(max))
      track.setAttribute('aria-valuenow', String(Math.min(value, max)))
      track.setAttribute('aria-valuetext', `${format(value)} of ${format(max)}`)
    },
  }
}

/** @param {any[]} samples @param {readonly Series[]} series */
function greatestOf(samples, series) {
  let top = 0
  for (const sample of samples) for (const one of series) top = Math.max(top, one.of(sample) ?? 0)
  return top
}

/** The next of 1, 2, 2.5, 5 and 10 times a power of ten. @param {number} value */
export function niceCeiling(value) {
  if (!(value > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= value) ?? 10
  return step * power
}

/** Ends that people count time in; `ms` is what the axis shows. @param {number} ms */
export function durationCeiling(ms) {
  const seconds = [
    10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400,
  ]
  if (ms <= 5_000) return niceCeiling(ms)
  const end = seconds.find((value) => value * 1_000 >= ms)
  return end === undefined ? niceCeiling(ms / 86_400_000) * 86_400_000 : end * 1_000
}

/**
 * @param {any[]} samples
 * @param {Series} series
 * @param {number} top
 * @param {number} height
 */
function shapes(samples, series, top, height) {
  if (samples.length < 2) return []
  const x = scaleOf(samples)
  const y = (/** @type {number} */ value) => height - 1.5 - (value / top) * (height - 4)
  return runsOf(samples, series).flatMap((run) => {
    const points = run.map(({ atMs, value }) => `${x(atMs).toFixed(1)} ${y(value).toFixed(1)}`)
    const line = points.join('L')
    const drawn = [s('path', { d: `M${line}`, class: `line ${series.className}` })]
    if (series.area === true) {
      const first = x(run[0]?.atMs ?? 0).toFixed(1)
      const last = x(run[run.length - 1]?.atMs ?? 0).toFixed(1)
      const d = `M${first} ${height}L${line}L${last} ${height}Z`
      drawn.unshift(s('path', { d, class: `area ${series.className}` }))
    }
    return drawn
  })
}

/** A line ends where nothing was known for longer than this many samples. */
const gapSamples = 8

/**
 * Stretches with values, each of at least two.
 *
 * @param {any[]} samples
 * @param {Series} series
 */
function runsOf(samples, series) {
  /** @type {{atMs: number, value: number}[][]} */
  const runs = []
  let lastAt = -Infinity
  for (const [at, sample] of samples.entries()) {
    const value = series.of(sample)
    if (value === null) continue
    if (at - lastAt > gapSamples) runs.push([])
    runs.at(-1)?.push({ atMs: sample.atMs, value })
    lastAt = at
  }
  return runs.filter((run) => run.length > 1)
}

/**
 * @param {any[]} samples
 * @param {(sample: any) => boolean} marked
 * @param {number} height
 */
function bands(samples, marked, height) {
  if (samples.length < 2) return []
  const x = scaleOf(samples)
  const found = []
  for (let at = 0; at < samples.length; at += 1) {
    if (!marked(samples[at])) continue
    const from = at
    while (at + 1 < samples.length && marked(samples[at + 1])) at += 1
    const left = x(samples[Math.max(0, from - 1)].atMs)
    const wide = Math.max(2, x(samples[at].atMs) - left)
    found.push(
      s('rect', { x: left.toFixed(1), y: 0, width: wide.toFixed(1), height, class: 'band' }),
    )
  }
  return found
}

/** @param {any[]} samples */
function scaleOf(samples) {
  const first = samples[0].atMs
  const span = Math.max(1, samples[samples.length - 1].atMs - first)
  return (/** @type {number} */ atMs) => ((atMs - first) / span) * width
}

/** @param {any[]} samples @param {number} atMs */
function nearest(samples, atMs) {
  let best = samples[0]
  for (const sample of samples) {
    if (Math.abs(sample.atMs - atMs) < Math.abs(best.atMs - atMs)) best = sample
  }
  return best
}
