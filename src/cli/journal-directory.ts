/** The journal's own folder of a daybook's directory; the folder itself is taken too, for error messages name it. */

import { basename, join, resolve } from 'node:path'
import { isDaybookError } from '../base/errors.ts'
import { checkDirectory } from './access.ts'

export async function journalDirectory(directory: string): Promise<string> {
  try {
    await checkDirectory(directory)
    return join(directory, 'journal')
  } catch (error) {
    const isJournal =
      isDaybookError(error, 'JOURNAL_FOREIGN') && basename(resolve(directory)) === 'journal'
    if (isJournal) return directory
    throw error
  }
}
