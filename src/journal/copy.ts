/** Copies of parts of segments, beside them in the directory. */

import type { Files } from '../base/files.ts'

/** A whole, durable file under its final name, or none. */
export async function writeCopy(
  files: Files,
  directory: string,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const temporary = temporaryCopy(path)
  await files.remove(temporary)
  const file = await files.open(temporary, 'create')
  try {
    await file.write(bytes, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await files.rename(temporary, path)
  await files.syncDirectory(directory)
}

/** What a copy is called until it is whole. */
export function temporaryCopy(path: string): string {
  return `${path}.tmp`
}
