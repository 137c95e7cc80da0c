import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodeTooOld } from '../../src/cli/node-version.ts'

describe('the version of Node.js', () => {
  it.each(['20.19.2', '22.12.0', '18.0.0'])(
    '%s is refused, with the one that is needed',
    (version) => {
      const manifest = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')
      const { engines } = JSON.parse(manifest) as { engines: { node: string } }
      const needed = engines.node.replace('>=', '')
      expect(nodeTooOld(version)).toBe(
        `error: daybook needs Node.js ${needed} or later, and this is ${version}.`,
      )
    },
  )

  it.each(['22.13.0', '22.20.1', '24.0.0', '100.1.0'])('%s is taken', (version) => {
    expect(nodeTooOld(version)).toBeUndefined()
  })
})
