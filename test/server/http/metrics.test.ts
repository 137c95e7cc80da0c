/** `/metrics`, and the files of operations that are made for it. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { instruments } from '../../../src/observe/instruments.ts'
import { metricName, metricsText } from '../../../src/server/http/prometheus.ts'
import { user } from '../../support/book-fixture.ts'
import { refuse, serve } from './http-fixture.ts'

const root = join(import.meta.dirname, '../../..')

interface Metric {
  readonly type: string
  readonly help: string
  readonly samples: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly value: number
  }[]
}

/** Reads the text format strictly: HELP, TYPE and then samples, one block for each name. */
function parse(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>()
  expect(text.endsWith('\n')).toBe(true)
  for (const line of text.trimEnd().split('\n')) {
    const help = /^# HELP ([a-z_]+) (.+)$/.exec(line)
    const type = /^# TYPE ([a-z_]+) (counter|gauge|summary)$/.exec(line)
    const sample = /^([a-z_]+)(\{.*\})? (-?[\d.e+-]+|\+Inf|-Inf|NaN)$/.exec(line)
    if (help !== null) {
      expect(metrics.has(help[1] ?? '')).toBe(false)
      metrics.set(help[1] ?? '', { type: '', help: help[2] ?? '', samples: [] })
    } else if (type !== null) {
      const metric = metrics.get(type[1] ?? '')
      metrics.set(type[1] ?? '', { ...(metric as Metric), type: type[2] ?? '' })
    } else {
      expect([line, sample === null]).toEqual([line, false])
      const labels = [...(sample?.[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
      const name = sample?.[1] ?? ''
      const ofSummary = metrics.get(name.replace(/_(sum|count)$/, ''))
      const metric = metrics.get(name) ?? ofSummary
      expect([name, metric === undefined]).toEqual([name, false])
      metric?.samples.push({
        name,
        labels: Object.fromEntries(labels.map(([, name = '', value = '']) => [name, value])),
        value: Number(sample?.[3]),
      })
    }
  }
  return metrics
}

/** Of a daybook that has done a bit of everything. */
async function scraped(): Promise<Map<string, Metric>> {
  const { api, users, book, store } = await serve()
  refuse(store, 'Mallory')
  await users.set('m', user('Mallory'))
  // On a slow machine all of it would be one batch.
  await users.set('1', user('Ada 0'))
  await book.flush()
  for (let visit = 1; visit < 5; visit++) await users.set('1', user(`Ada ${visit}`))
  await book.flush()
  await users.get('1')
  const answer = await api('GET', '/metrics')
  expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  return parse(answer.text)
}

describe('metrics', () => {
  it('have the figures, with help, type and base units', async () => {
    const metrics = await scraped()
    const value = (name: string): unknown => metrics.get(name)?.samples[0]?.value
    expect(value('daybook_journal_mutations_total')).toBe(6)
    expect(value('daybook_dead_letters')).toBe(1)
    expect(value('daybook_store_up')).toBe(1)
    expect(metrics.get('daybook_lag_seconds')?.samples.map(({ labels }) => labels)).toEqual([
      { lane: '0' },
      { lane: '1' },
    ])
    expect(metrics.get('daybook_cache_requests_total')?.samples).toMatchObject([
      { labels: { result: 'hit' } },
      { labels: { result: 'miss' } },
    ])
    for (const [name, { type, help, samples }] of metrics) {
      expect(help).toMatch(/^.+\.$/)
      expect(samples.length).toBeGreaterThan(0)
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter'])
      expect(name).not.toMatch(/_(ms|milliseconds|kib|count)(_|$)/)
      const hasQuantile = samples.some(({ labels }) => 'quantile' in labels)
      expect([name, hasQuantile]).toEqual([name, type === 'summary'])
    }
  })

  it('are summaries where they are distributions: quantiles, a sum and a count', async () => {
    const metrics = await scraped()
    for (const [name, least] of [
      ['daybook_flush_duration_seconds', 2],
      ['daybook_journal_sync_duration_seconds', 6],
    ] as const) {
      const samples = metrics.get(name)?.samples ?? []
      expect(samples.map((sample) => [sample.name, sample.labels])).toEqual([
        [name, { quantile: '0.5' }],
        [name, { quantile: '0.99' }],
        [name, { quantile: '1' }],
        [`${name}_sum`, {}],
        [`${name}_count`, {}],
      ])
      const [, , highest, sum, count] = samples.map(({ value }) => value)
      expect(count).toBeGreaterThanOrEqual(least)
      expect(sum).toBeGreaterThanOrEqual(highest as number)
      expect(sum).toBeLessThanOrEqual((highest as number) * (count as number))
    }
  })

  it('are all instruments, and few more', async () => {
    const metrics = await scraped()
    const own = instruments.map(metricName)
    expect(new Set(own).size).toBe(own.length)
    const others = [...metrics.keys()].filter((name) => !own.includes(name))
    expect(others).toEqual([
      'daybook_build_info',
      'daybook_live_clients',
      'process_start_time_seconds',
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
    ])
    expect(own.filter((name) => !metrics.has(name))).toEqual([])
  })

  it('have no label whose values could be without end', async () => {
    const names = new Set<string>()
    for (const { samples } of (await scraped()).values()) {
      for (const { labels } of samples) for (const name of Object.keys(labels)) names.add(name)
    }
    expect([...names].sort()).toEqual(['lane', 'quantile', 'result', 'state', 'version'])
  })

  it('escape what would break a line', async () => {
    const { book } = await serve()
    const figures = { startedAtMs: 0, cpuSeconds: 0, residentBytes: 0, liveClients: 0 }
    const text = metricsText(book.stats(), { ...figures, version: 'a"b\\c\nd' })
    expect(text).toContain('daybook_build_info{version="a\\"b\\\\c\\nd"} 1\n')
  })
})

/** `up`, and what OpenTelemetry makes of summaries. */
const elsewhere = new Set([
  'up',
  ...instruments
    .filter(({ kind }) => kind === 'summary')
    .map(({ name, unit }) => metricName({ name: `${name}.quantile`, unit, kind: 'gauge' })),
])

/** Names of metrics in an expression: what is neither a function, a keyword, a label nor a variable. */
function namesIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(by|on|without|ignoring) ?\([^)]*\)/g, '')
  return [...bare.matchAll(/\b[a-z][a-z_]*_[a-z_]+\b(?! ?\()|\bup\b/g)].map(([name]) => name)
}

describe('the files of operations', () => {
  const alerts = readFileSync(join(root, 'ops/prometheus/daybook-alerts.yaml'), 'utf8')
  const dashboard = JSON.parse(readFileSync(join(root, 'ops/grafana/daybook.json'), 'utf8')) as {
    panels: {
      title: string
      targets: { expr: string }[]
      gridPos: { x: number; y: number; w: number; h: number }
    }[]
    templating: { list: { definition?: string }[] }
    annotations: { list: { expr: string }[] }
  }

  it('ask for metrics that there are, with labels that they have', async () => {
    const metrics = await scraped()
    const rules = [...alerts.matchAll(/expr: (.+)/g)].map(([, expr = '']) => expr)
    const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    const notes = dashboard.annotations.list.map(({ expr }) => expr)
    expect(rules.length).toBeGreaterThanOrEqual(10)
    const asked = [...rules, ...queries, ...notes].flatMap(namesIn)
    expect(asked.length).toBeGreaterThan(40)
    expect(asked.filter((name) => !metrics.has(name) && !elsewhere.has(name))).toEqual([])
    for (const expression of [...rules, ...queries, ...notes]) {
      for (const [, name = '', selector = ''] of expression.matchAll(/([a-z_]+)\{([^}]*)\}/g)) {
        const ofPrometheus = name.replace('_quantile', '')
        const known = Object.keys(metrics.get(ofPrometheus)?.samples[0]?.labels ?? {})
        const wanted = [...selector.matchAll(/(\w+)(?:=|!=|=~|!~)"/g)].map(
          ([, label = '']) => label,
        )
        const unknown = wanted.filter((label) => !['job', 'instance', ...known].includes(label))
        expect([expression, unknown]).toEqual([expression, []])
      }
    }
  })

  it('show every metric of the book in the dashboard', async () => {
    const shown = new Set(
      dashboard.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => namesIn(expr))),
    )
    const own = instruments.map(metricName)
    expect(own.filter((name) => !shown.has(name))).toEqual([])
  })

  it('alert on what must not be missed, and say what to do', () => {
    for (const name of [
      'daybook_lag_seconds',
      'daybook_dead_letters ',
      'daybook_store_up',
      'daybook_journal_size_bytes',
      'daybook_flush_batches_total',
      'daybook_state',
      'daybook_journal_state',
    ]) {
      expect(alerts).toContain(name)
    }
    const count = (pattern: RegExp): number => [...alerts.matchAll(pattern)].length
    const rules = count(/- alert: Daybook\w+\n/g)
    for (const part of [/ {8}expr: /g, / {10}severity: (warning|critical)\n/g]) {
      expect(count(part)).toBe(rules)
    }
    expect(count(/ {10}summary: ["']/g)).toBe(rules)
    expect(count(/ {10}description: ["']/g)).toBe(rules)
  })

  it('have panels that do not lie over each other', () => {
    const taken = new Set<string>()
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, taken.has(`${x},${y}`)]).toEqual([title, false])
          taken.add(`${x},${y}`)
        }
      }
    }
  })
})
