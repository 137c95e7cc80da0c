/** What a look at a journal found, in words. */

import { basename } from 'node:path'
import type { JournalReport, SegmentReport } from '../journal/verify.ts'
import { bytes, count, counted } from './quantities.ts'
import { pairs, printable, table, type Terminal } from './terminal.ts'

export function reportLines(terminal: Terminal, report: JournalReport): string[] {
  const { records, recordsByLane } = report
  const positions =
    records === 0
      ? ''
      : `, positions ${count(report.oldestPosition)} to ${count(report.lastPosition)}`
  const lines = pairs(terminal, [
    ['journal', report.journalId ?? 'none, or its first header cannot be read'],
    ['epoch', `${count(report.epoch)} (of the newest segment)`],
    ['records', `${count(records)}${positions}`],
    [
      'lanes',
      `${count(report.lanes)}: ${recordsByLane.map((lane) => count(lane)).join(', ')} records`,
    ],
    ['disk', `${bytes(report.bytes)} in ${counted(report.segments.length, 'segment')}`],
    ['state', stateOf(terminal, report)],
    ...(report.copies.length === 0
      ? []
      : [['kept aside', report.copies.map((copy) => printable(copy)).join(', ')] as const]),
  ])
  return [...lines, '', ...segmentLines(terminal, report.segments)]
}

export function stateOf(terminal: Terminal, { damage, tornBytes }: JournalReport): string {
  if (damage !== undefined) {
    const { file, offset, reason } = damage
    return terminal.style(
      'red',
      `damaged in ${printable(file)} at offset ${offset}: ${printable(reason)}`,
    )
  }
  if (tornBytes === 0) return terminal.style('green', 'whole')
  return `whole but for ${bytes(tornBytes)} at the end that were never acknowledged, or are just being written`
}

function segmentLines(terminal: Terminal, segments: readonly SegmentReport[]): string[] {
  return table(
    terminal,
    [
      { title: 'segment', align: 'right' },
      { title: 'epoch', align: 'right' },
      { title: 'first', align: 'right' },
      { title: 'last', align: 'right' },
      { title: 'records', align: 'right' },
      { title: 'commits', align: 'right' },
      { title: 'used', align: 'right' },
      { title: 'file' },
    ],
    segments.map((segment) => [
      count(segment.ordinal),
      count(segment.epoch),
      segment.firstPosition === undefined ? '–' : count(segment.firstPosition),
      segment.lastPosition === undefined ? '–' : count(segment.lastPosition),
      count(segment.records),
      count(segment.batches - segment.seals),
      bytes(segment.usedBytes),
      printable(basename(segment.file)),
    ]),
  )
}
