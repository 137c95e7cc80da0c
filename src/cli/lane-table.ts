/** The lanes as a table, for `status` and `top`. */

import type { BookStats } from '../observe/stats.ts'
import { count, duration } from './quantities.ts'
import { pad, table, type Terminal } from './terminal.ts'

/** Columns are as wide as what they usually have, so that a picture that is drawn again stands still. */
export function laneTable(terminal: Pick<Terminal, 'style'>, lanes: BookStats['lanes']): string[] {
  return table(
    terminal,
    [
      { title: 'lane', align: 'right' },
      { title: 'state' },
      { title: 'pending', align: 'right' },
      { title: 'lag', align: 'right' },
      { title: 'checkpoint', align: 'right' },
      { title: 'position', align: 'right' },
    ],
    lanes.map(({ lane, state, pending, lagMs, checkpoint, position }) => [
      String(lane),
      pad(state, 9, 'left'),
      pad(count(pending), 9, 'right'),
      pad(duration(lagMs), 11, 'right'),
      count(checkpoint),
      count(position),
    ]),
  )
}
