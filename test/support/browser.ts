/** The system's Chromium, headless. Nothing is downloaded: `playwright-core` only drives it. */

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome']

/** Why no browser can be had here, or undefined where one can. In CI that is an error, never a skip. */
export function browserUnavailable(): string | undefined {
  if (browserPath() !== undefined) return undefined
  const reason = 'no Chromium found in PATH (Debian: apt-get install chromium)'
  if ((process.env['CI'] ?? '') !== '') {
    throw new Error(`Browser tests must not be skipped in CI: ${reason}`)
  }
  return reason
}

export async function launchBrowser(): Promise<Browser> {
  const executablePath = browserPath()
  if (executablePath === undefined) throw new Error('There is no Chromium here.')
  // Its sandbox cannot be had as root, where continuous integration runs.
  const isRoot = process.getuid?.() === 0
  return chromium.launch({ executablePath, args: isRoot ? ['--no-sandbox'] : [] })
}

function browserPath(): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path))
}
