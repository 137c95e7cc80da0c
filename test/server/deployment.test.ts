/** The systemd unit and the Dockerfile: what they name is there, and means what they say. */

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bookTable } from '../../src/book/options.ts'
import { environmentNames } from '../../src/cli/config-file.ts'
import { httpTable } from '../../src/server/http/http-options.ts'
import { redisTable } from '../../src/server/redis/options.ts'
import { run } from '../cli/run.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const manifest = JSON.parse(read('package.json')) as { bin: Readonly<Record<string, string>> }

describe('ops/daybook.service', () => {
  const unit = read('ops/daybook.service')
  const valueOf = (name: string): string =>
    new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? `no ${name}`

  test('is a unit that systemd understands', (context) => {
    const missing = spawnSync('systemd-analyze', ['--version']).error !== undefined
    const reason = missing
      ? 'systemd-analyze is not installed (apt-get install systemd)'
      : undefined
    if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`)
    context.skip(missing, reason)
    // It says what it does not understand, and ends with 0 all the same.
    const { stderr, status } = spawnSync(
      'systemd-analyze',
      ['verify', join(root, 'ops/daybook.service')],
      { encoding: 'utf8' },
    )
    expect(stderr.split('\n').filter((line) => line.includes('daybook.service'))).toEqual([])
    expect(status).toBe(0)
  })

  test('starts the command with flags that there are', async () => {
    const [env, command, subcommand, ...rest] = valueOf('ExecStart').split(' ')
    expect([env, command, subcommand]).toEqual(['/usr/bin/env', 'daybook', 'serve'])
    expect(Object.keys(manifest.bin)).toContain(command)
    const help = (await run(['serve', '--help'])).out
    const flags = rest.filter((word) => word.startsWith('--'))
    expect(flags.filter((flag) => !help.includes(`${flag} <`))).toEqual([])
  })

  test('gives it longer to stop than a drain may take', () => {
    expect(Number(valueOf('TimeoutStopSec')) * 1000).toBeGreaterThan(
      bookTable.drainTimeoutMs.default,
    )
  })

  test('points at a document that the package has', () => {
    const path = valueOf('Documentation').replace(/^file:.*\/daybook\//, '')
    expect(existsSync(join(root, path))).toBe(true)
  })
})

describe('ops/Dockerfile', () => {
  const instructions = read('ops/Dockerfile')
    .replace(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => /^([A-Z]+) +(.*)$/.exec(line))
    .flatMap((found) => (found === null ? [] : [{ name: found[1] ?? '', rest: found[2] ?? '' }]))
  const all = (name: string): string[] =>
    instructions.flatMap((instruction) => (instruction.name === name ? [instruction.rest] : []))

  test('copies what is there, and not what belongs to another platform', () => {
    const sources = all('COPY')
      .filter((rest) => !rest.startsWith('--from'))
      .flatMap((rest) => rest.split(/ +/).slice(0, -1))
    expect(sources).toContain('package-lock.json')
    expect(sources.filter((source) => !existsSync(join(root, source)))).toEqual([])
    expect(read('.dockerignore').split('\n')).toEqual(
      expect.arrayContaining(['node_modules', '.git', 'daybook-data']),
    )
  })

  test('sets variables that the server reads, and exposes its ports', () => {
    const known = environmentNames.map(([name]) => String(name))
    const set = all('ENV').flatMap((rest) => rest.split(/ +/).map((pair) => pair.split('=')[0]))
    expect(set.length).toBeGreaterThan(0)
    expect(set.filter((name) => !known.includes(name ?? ''))).toEqual([])
    expect(all('EXPOSE')).toEqual([`${redisTable.port.default} ${httpTable.port.default}`])
    expect(all('HEALTHCHECK')[0]).toContain(`127.0.0.1:${httpTable.port.default}/healthz`)
  })

  test('runs a command that the package installs, and its Node is new enough', () => {
    const [command = '', ...rest] = JSON.parse(all('CMD')[0] ?? '[]') as string[]
    expect(Object.keys(manifest.bin)).toContain(command)
    expect(rest).toEqual(['serve'])
    const versions = all('FROM').map((rest) => Number(/^node:(\d+)/.exec(rest)?.[1]))
    expect(versions.every((version) => version >= 24)).toBe(true)
  })

  test('has a health check that is a program', () => {
    const program = /CMD node -e "(.*)"$/.exec(all('HEALTHCHECK')[0] ?? '')?.[1] ?? ''
    execFileSync(process.execPath, ['--check', '-'], { input: program })
    // Nobody listens there: it is not healthy.
    const port = '127.0.0.1:1/'
    const unhealthy = spawnSync(process.execPath, [
      ...['-e', program.replace(/127\.0\.0\.1:\d+\//, port)],
    ])
    expect(unhealthy.status).toBe(1)
  })
})
