/** The dashboard's own files, read once at the start: nothing that a request names reaches the file system. */

import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { Files } from '../../base/files.ts'

export interface DashboardFile {
  readonly content: Uint8Array
  readonly type: string
  readonly etag: string
}

const maxFileBytes = 1024 * 1024
const types: ReadonlyMap<string, string> = new Map([
  ['html', 'text/html; charset=utf-8'],
  ['css', 'text/css; charset=utf-8'],
  ['js', 'text/javascript; charset=utf-8'],
  ['svg', 'image/svg+xml'],
])

/** By path: `/` is index.html, all others are under `/dashboard/`. */
export async function readDashboard(files: Files): Promise<ReadonlyMap<string, DashboardFile>> {
  const folder = fileURLToPath(new URL('../dashboard', import.meta.url))
  const found = new Map<string, DashboardFile>()
  for (const name of await files.list(folder)) {
    const type = types.get(name.slice(name.lastIndexOf('.') + 1))
    if (type === undefined) continue
    const content = await files.read(`${folder}/${name}`, maxFileBytes)
    if (content === undefined) continue
    const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`
    found.set(name === 'index.html' ? '/' : `/dashboard/${name}`, { content, type, etag })
  }
  return found
}
