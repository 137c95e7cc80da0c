/**
 * OpenTelemetry metrics of a book: observable instruments that read `book.stats()` when they are collected, and cost
 * nothing in between.
 *
 *     import { metrics } from '@opentelemetry/api'
 *     const stop = observeWithOpenTelemetry(book, metrics.getMeter('daybook'))
 *
 * Names follow OpenTelemetry's rules: units are metadata, seconds rather than milliseconds, no `_total`. Attributes are
 * lane numbers and states, never keys. A summary is a gauge of its quantiles, `….quantile`.
 */

import { instruments as rows, type Attributes, type Instrument as Row } from './instruments.ts'
import type { BookStats } from './stats.ts'

interface Observations<Instrument> {
  observe(instrument: Instrument, value: number, attributes?: Attributes): void
}

interface Description {
  readonly description: string
  readonly unit: string
}

/** The part of `Meter` in `@opentelemetry/api` that is used here; that package stays optional. */
export interface OpenTelemetryMeter<Instrument> {
  createObservableGauge(name: string, options: Description): Instrument
  createObservableCounter(name: string, options: Description): Instrument
  createObservableUpDownCounter(name: string, options: Description): Instrument
  addBatchObservableCallback(
    callback: (result: Observations<Instrument>) => void,
    instruments: Instrument[],
  ): void
  removeBatchObservableCallback(
    callback: (result: Observations<Instrument>) => void,
    instruments: Instrument[],
  ): void
}

/** Registers every instrument with the meter. Returns what takes them off again: call it before closing the book. */
export function observeWithOpenTelemetry<Instrument>(
  book: { stats(): BookStats },
  meter: OpenTelemetryMeter<Instrument>,
): () => void {
  const instruments = rows.map((row) => ({ row, instrument: create(meter, row) }))
  const all = instruments.map(({ instrument }) => instrument)
  const observe = (result: Observations<Instrument>): void => {
    const stats = book.stats()
    for (const { row, instrument } of instruments) {
      const readings = row.kind === 'summary' ? row.read(stats).quantiles : row.read(stats)
      for (const [value, attributes] of readings) {
        result.observe(instrument, value, attributes)
      }
    }
  }
  meter.addBatchObservableCallback(observe, all)
  return () => meter.removeBatchObservableCallback(observe, all)
}

function create<Instrument>(meter: OpenTelemetryMeter<Instrument>, row: Row): Instrument {
  const description = { description: row.description, unit: row.unit }
  switch (row.kind) {
    case 'gauge':
      return meter.createObservableGauge(row.name, description)
    case 'summary':
      return meter.createObservableGauge(`${row.name}.quantile`, description)
    case 'counter':
      return meter.createObservableCounter(row.name, description)
    case 'upDownCounter':
      return meter.createObservableUpDownCounter(row.name, description)
  }
}
