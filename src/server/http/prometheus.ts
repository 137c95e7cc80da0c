/**
 * `/metrics`: the table of instruments in Prometheus's text format, version 0.0.4, and a few of the process.
 *
 * Names are made as OpenTelemetry's own exporter makes them: dots become underscores, the unit is the suffix, a counter ends in
 * `_total`; but a bare gauge has no `_ratio`. No label has a key in it.
 */

import {
  instruments,
  type Attributes,
  type Instrument,
  type Reading,
} from '../../observe/instruments.ts'
import type { BookStats } from '../../observe/stats.ts'

export const metricsType = 'text/plain; version=0.0.4; charset=utf-8'

export interface ProcessFigures {
  readonly version: string
  readonly startedAtMs: number
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly liveClients: number
}

export function metricName({
  name,
  kind,
  unit,
}: Pick<Instrument, 'name' | 'kind' | 'unit'>): string {
  const base = name.replaceAll('.', '_')
  const suffix = unit === 's' ? '_seconds' : unit === 'By' ? '_bytes' : ''
  return `${base}${suffix}${kind === 'counter' ? '_total' : ''}`
}

export function metricsText(stats: BookStats, process: ProcessFigures): string {
  const lines: string[] = []
  const add = (
    name: string,
    type: 'counter' | 'gauge' | 'summary',
    help: string,
    readings: readonly Reading[],
  ): void => {
    // A metric without a sample is left out: it has nothing to say now.
    if (readings.length === 0) return
    lines.push(`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`)
    for (const [value, attributes] of readings) {
      lines.push(`${name}${labelsOf(attributes)} ${numberText(value)}`)
    }
  }
  for (const instrument of instruments) {
    const name = metricName(instrument)
    if (instrument.kind === 'summary') {
      const { quantiles, sum, count } = instrument.read(stats)
      add(name, 'summary', instrument.description, quantiles)
      lines.push(`${name}_sum ${numberText(sum)}`, `${name}_count ${numberText(count)}`)
    } else {
      const type = instrument.kind === 'counter' ? 'counter' : 'gauge'
      add(name, type, instrument.description, instrument.read(stats))
    }
  }
  const { version, startedAtMs, cpuSeconds, residentBytes, liveClients } = process
  add('daybook_build_info', 'gauge', 'Always 1; the version is the label.', [[1, { version }]])
  add('daybook_live_clients', 'gauge', 'Browsers that follow the live figures.', [[liveClients]])
  add('process_start_time_seconds', 'gauge', 'Start time, seconds since 1970.', [
    [startedAtMs / 1_000],
  ])
  add('process_cpu_seconds_total', 'counter', 'Processor time, user and system.', [[cpuSeconds]])
  add('process_resident_memory_bytes', 'gauge', 'Resident memory.', [[residentBytes]])
  return `${lines.join('\n')}\n`
}

function labelsOf(attributes: Attributes | undefined): string {
  const labels = Object.entries(attributes ?? {}).map(
    // `daybook.cache.result` is `result` here: the metric's name says the rest.
    ([name, value]) => `${name.slice(name.lastIndexOf('.') + 1)}="${escaped(String(value))}"`,
  )
  return labels.length === 0 ? '' : `{${labels.join(',')}}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  return String(value)
}
