/**
 * Clients in other languages: redis-py, go-redis and Jedis, each in a program of its own in `clients/`, which goes through what
 * its users do and exits with 0 only where everything holds.
 *
 * The package is fetched by the language's own tool, as that is set up on this machine. Where the tool is missing, or the
 * package cannot be fetched within the deadline, the test is skipped and says why.
 */

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { reasonOf } from '../../../src/base/errors.ts'
import { ServeProcess } from '../serve-process.ts'
import { temporaryDirectory } from './redis-fixture.ts'
import { freePort } from './redis-tools.ts'

const run = promisify(execFile)
const fetchDeadlineMs = 180_000
const runDeadlineMs = 180_000

type Invocation = readonly [command: string, ...args: string[]]

interface Language {
  readonly name: string
  readonly folder: string
  /** Fetches the package, into the directory where the tool has no place of its own for it. */
  readonly fetch: (directory: string) => readonly Invocation[]
  readonly run: (directory: string, port: string) => Invocation
  readonly environment?: (directory: string) => Readonly<Record<string, string>>
  /** What the program leaves behind. */
  readonly row: object
}

const languages: readonly Language[] = [
  {
    name: 'redis-py',
    folder: 'python',
    fetch: (directory) => [
      [
        ...(['python3', '-m', 'pip', 'install', '--quiet'] as const),
        ...['--target', directory, '--requirement', 'requirements.txt'],
      ],
    ],
    run: (_directory, port) => ['python3', 'client.py', port],
    environment: (directory) => ({ PYTHONPATH: directory }),
    row: { id: 1, name: 'Ada', visits: 7 },
  },
  {
    name: 'go-redis',
    folder: 'go',
    fetch: () => [['go', 'mod', 'download']],
    run: (_directory, port) => ['go', 'run', '.', port],
    row: { id: 2, name: 'Grace', visits: 7 },
  },
  {
    name: 'Jedis',
    folder: 'java',
    fetch: (directory) => [
      ['javac', '-version'],
      [
        ...(['mvn', '--quiet', '--batch-mode'] as const),
        'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies',
        ...['-DincludeScope=runtime', `-DoutputDirectory=${directory}`],
      ],
    ],
    run: (directory, port) => ['java', '-cp', join(directory, '*'), 'Client.java', port],
    row: { id: 3, name: 'Barbara', visits: 7 },
  },
]

/** Why the package cannot be had; undefined where it is there. */
async function unavailable(language: Language, directory: string): Promise<string | undefined> {
  for (const [command, ...args] of language.fetch(directory)) {
    try {
      await run(command, args, { cwd: folderOf(language), timeout: fetchDeadlineMs })
    } catch (error) {
      return `${language.name} cannot be fetched: ${reasonOf(error).slice(0, 500)}`
    }
  }
  return undefined
}

function folderOf({ folder }: Language): string {
  return join(import.meta.dirname, 'clients', folder)
}

describe('clients in other languages', () => {
  test.for(languages)(
    '$name',
    { timeout: fetchDeadlineMs + runDeadlineMs + 30_000 },
    async (language, context) => {
      const directory = temporaryDirectory()
      const missing = await unavailable(language, directory)
      if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`)
      context.skip(missing !== undefined, missing)

      const data = temporaryDirectory()
      const shop = join(data, 'shop.db')
      const schema = new DatabaseSync(shop)
      schema.exec('CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, visits INTEGER)')
      schema.close()
      const config = join(data, 'daybook.config.json')
      writeFileSync(
        config,
        JSON.stringify({
          directory: join(data, 'data'),
          store: `sqlite:${shop}`,
          caches: { users: { table: 'users', key: 'id' } },
          redis: { port: await freePort() },
          http: { enabled: false },
        }),
      )
      const server = new ServeProcess(['--config', config])
      const port = await server.says(/redis-cli -p (\d+)/)

      const [command, ...args] = language.run(directory, port)
      const environment = { ...process.env, ...language.environment?.(directory) }
      const { stdout } = await run(command, args, {
        cwd: folderOf(language),
        env: environment,
        timeout: runDeadlineMs,
      })
      expect(stdout).toMatch(/: everything holds\n$/)

      // The program has waited for the database.
      const rows = new DatabaseSync(shop, { readOnly: true })
      expect(rows.prepare('SELECT * FROM users').all()).toMatchObject([language.row])
      rows.close()
    },
  )
})
