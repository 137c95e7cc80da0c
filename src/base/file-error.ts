/** What a call of the Files port threw, for those who use the book. */

import { DaybookError, reasonOf } from './errors.ts'

/** DIRECTORY_UNUSABLE for an error of the system; anything else as it is. */
export function fileError(path: string, error: unknown): unknown {
  if (error instanceof DaybookError || !isSystemError(error)) return error
  return new DaybookError('DIRECTORY_UNUSABLE', `${path} cannot be used: ${reasonOf(error)}.`, {
    cause: error,
    details: { file: path, code: error.code },
    hint: 'Nothing was lost by it; see to the disk and try again.',
  })
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error
}
