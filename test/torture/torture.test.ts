/**
 * Goal: real kills, real disks and real databases lose, double and reorder nothing.
 * Method: fifty cycles of `npm run torture`, of every fault; see torture/README.md. What cannot be done on this machine is
 * in its output, with the reason; in CI nothing may be skipped.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../torture/run.ts', import.meta.url))

async function torture(
  ...parameters: string[]
): Promise<{ code: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, [program, ...parameters], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    process.stdout.write(text)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output, errors }
}

test('fifty cycles of every fault, on both databases, without a violation', async () => {
  const { code, output, errors } = await torture('--cycles', '50', '--seed', '20261125')
  expect({ code, errors }).toEqual({ code: 0, errors: '' })
  expect(output).toMatch(/^50\/50 /m)
  expect(output).toMatch(/^no violations$/m)
}, 900_000)

test('a fault that there is none of is answered with those that there are', async () => {
  const { code, errors } = await torture('--only', 'kil')
  expect(code).toBe(2)
  expect(errors).toContain('There is no fault kil.')
  expect(errors).toContain('kill-at-commit')
})

test.each([
  ['--cycles', 'many'],
  ['--seed', '-1'],
  ['--store', 'mysql'],
])('%s %s is refused', async (name, value) => {
  const { code, errors } = await torture(`${name}=${value}`)
  expect(code).toBe(2)
  expect(errors).toContain(name)
})
