/** An old Node.js is named as what is wrong, before a module that it does not have is. */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { tooOldNode } from '../../src/cli/node-version.ts'

test.each(['20.20.2', '22.12.0', '18.0.0'])('%s is too old', (version) => {
  expect(tooOldNode(version)).toBe(
    `error: daybook needs Node.js 22.13 or later, and this is ${version}.`,
  )
})

test.each(['22.13.0', '22.20.1', '24.0.0', '26.1.0', '23.0.0-nightly'])('%s will do', (version) => {
  expect(tooOldNode(version)).toBeUndefined()
})

test('package.json asks for the same', () => {
  const manifest = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { engines: { node: string } }
  expect(manifest.engines.node).toBe('>=22.13')
})
