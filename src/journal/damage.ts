/** How damage of a journal is said: where it is, what it is, and the command that tells more. */

import { DaybookError } from '../base/errors.ts'

/** What is wrong with a journal's files, at its first place. */
export interface Damage {
  readonly kind: 'damaged' | 'foreign' | 'newer'
  readonly file: string
  readonly offset: number
  /** Completes "In <file> at <offset>": a sentence without its full stop. */
  readonly reason: string
}

const codes = {
  damaged: 'JOURNAL_CORRUPT',
  foreign: 'JOURNAL_FOREIGN',
  newer: 'JOURNAL_VERSION',
} as const

const hints = {
  damaged: (directory: string) =>
    // The command takes the daybook's directory, in which the journal's is named `journal`.
    `Nothing was changed. Run: daybook journal verify ${directory.replace(/[/\\]journal$/, '')}`,
  foreign: () => 'Move the files of the other journal away.',
  newer: () => 'Use the version of Daybook that wrote it, or a later one.',
} as const

export function damageError(directory: string, damage: Damage): DaybookError {
  const { kind, file, offset, reason } = damage
  return new DaybookError(codes[kind], `In ${file} at offset ${offset}: ${reason}.`, {
    details: { file, offset, reason },
    hint: hints[kind](directory),
  })
}
