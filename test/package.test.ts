/**
 * The published package: packed, installed into an empty project, imported, typechecked and run there as a user would.
 *
 * Its dependencies come from this project's node_modules, so the test needs no network; what the package uses without
 * declaring it is missing there.
 */

import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const installed = join(root, 'node_modules')

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
}

let place: string
let project: string
let packed: Packed
let manifest: Manifest

beforeAll(async () => {
  manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest
  place = await mkdtemp(join(tmpdir(), 'daybook-package-'))
  project = join(place, 'project')
  await mkdir(project)
  await writeFile(join(project, 'package.json'), '{ "name": "project", "private": true }')
  const { stdout } = await npm(root, 'pack', '--json', '--pack-destination', place)
  packed = packedOf(stdout)
  const dependencies = Object.keys(manifest.dependencies).map((name) => join(installed, name))
  const tarball = join(place, packed.filename)
  const flags = ['--offline', '--no-audit', '--no-fund', '--ignore-scripts', '--install-links']
  await npm(project, 'install', ...flags, tarball, ...dependencies)
}, 300_000)

afterAll(() => rm(place, { recursive: true, force: true }))

describe('the package', () => {
  test('has what it should have, and nothing else', () => {
    const paths = packed.files.map(({ path }) => path)
    const expected =
      /^(dist\/.+\.(js|d\.ts)|dist\/server\/dashboard\/.+\.(html|css|svg)|docs\/.+|README\.md|CHANGELOG\.md|LICENSE|package\.json)$/
    expect(paths.filter((path) => !expected.test(path))).toEqual([])
    for (const path of [
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli/main.js',
      'dist/server/dashboard/index.html',
      'dist/server/dashboard/style.css',
      'LICENSE',
      'README.md',
    ]) {
      expect(paths).toContain(path)
    }
  })

  test('names no path of the machine that built it, and no source file', async () => {
    const home = join(project, 'node_modules', 'daybook')
    const wrong: string[] = []
    for (const { path } of packed.files) {
      const text = await readFile(join(home, path), 'utf8')
      if (text.includes(root)) wrong.push(`${path} names ${root}`)
      // In declarations the compiler finds x.d.ts by the name x.ts; Node does not.
      if (path.endsWith('.js') && /(from|import\()\s*['"][^'"]+\.ts['"]/.test(text)) {
        wrong.push(`${path} imports a .ts file`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('imports by each of its names, without any optional peer', async () => {
    const names = Object.keys(manifest.exports).map((name) => name.replace(/^\./, 'daybook'))
    const code = names
      .filter((name) => !name.endsWith('.json'))
      .map(
        (name) =>
          `console.log(${JSON.stringify(name)}, Object.keys(await import('${name}')).join())`,
      )
    const { stdout } = await node(await file('names.mjs', code.join('\n')))
    expect(stdout).toMatch(/^daybook .*openDaybook/m)
    expect(stdout).toMatch(/^daybook\/sqlite sqlite$/m)
    expect(stdout).toMatch(/^daybook\/postgres postgres$/m)
    expect(stdout).toMatch(/^daybook\/testing .*storeSuite/m)
  })

  test('writes behind to SQLite, and flushes after a restart what was pending', async () => {
    const path = await file(
      'write.mjs',
      `import { openDaybook } from 'daybook'
      import { sqlite } from 'daybook/sqlite'
      const options = { directory: './data', store: sqlite({ path: './app.db' }) }
      const book = await openDaybook(options)
      const pages = book.cache('pages')
      book.pause()
      await pages.set('home', { views: 1 })
      await pages.increment('home', { views: 41 })
      const { pending } = await book.close({ drainTimeoutMs: 0 })
      const again = await openDaybook({ ...options, store: sqlite({ path: './app.db' }) })
      await again.flush()
      console.log(JSON.stringify({ pending, value: await again.cache('pages').get('home') }))
      await again.close()`,
    )
    const { stdout } = await node(path)
    expect(JSON.parse(stdout)).toEqual({ pending: 2, value: { views: 42 } })
  })

  test('says what to install where the driver of a store is missing', async () => {
    const path = await file(
      'no-driver.mjs',
      `import { openDaybook } from 'daybook'
      import { postgres } from 'daybook/postgres'
      const store = postgres({ url: 'postgres://localhost/nowhere' })
      await openDaybook({ directory: './no-driver', store }).catch((error) => console.log(error.code, error.message))`,
    )
    const { stdout } = await node(path)
    expect(stdout).toMatch(/^STORE_MISCONFIGURED .*npm install pg/)
  })

  test('brings a command that runs', async () => {
    const { stdout } = await npm(project, 'exec', '--offline', '--', 'daybook', '--help')
    for (const command of ['demo', 'status', 'flush', 'dead-letters', 'journal']) {
      expect(stdout).toMatch(new RegExp(`^ +${command}\\b`, 'm'))
    }
  })

  test('typechecks in a strict project that checks the libraries too', async () => {
    // Types of Node are the only ones that a project must bring.
    await mkdir(join(project, 'node_modules', '@types'), { recursive: true })
    await symlink(
      join(installed, '@types', 'node'),
      join(project, 'node_modules', '@types', 'node'),
    )
    await file(
      'consumer.ts',
      `import { openDaybook, isDaybookError, type Receipt } from 'daybook'
      import { postgres } from 'daybook/postgres'
      import { sqlite } from 'daybook/sqlite'
      import { storeSuite, memoryStore } from 'daybook/testing'

      interface User { name: string; visits: number }
      await using book = await openDaybook({ directory: './data', store: sqlite({ path: 'app.db' }) })
      const users = book.cache<User>('users', { table: 'users', key: 'id' })
      const receipt: Receipt = await users.set('42', { name: 'Ada', visits: 1 })
      const { visits }: User = await users.increment('42', { visits: 1 })
      const second: Receipt = await users.increment('42', { visits: 1 }, { returning: false })
      const found: User | undefined = await users.get('42')
      const outcome: 'persisted' | 'dead-lettered' | 'pending' = await book.persisted([receipt, second])
      // @ts-expect-error: a column that the type does not have
      await users.merge('42', { nme: 'Ada' })
      // @ts-expect-error: a level that there is not
      await users.set('42', { name: 'Ada', visits }, { durability: 'disk' })
      // @ts-expect-error: an option that there is not
      book.cache('other', { tabel: 'users' })
      export { found, isDaybookError, memoryStore, outcome, postgres, storeSuite }`,
    )
    await file(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          skipLibCheck: false,
          noEmit: true,
          target: 'es2023',
          lib: ['es2024', 'esnext.disposable'],
          module: 'nodenext',
          types: ['node'],
        },
        files: ['consumer.ts'],
      }),
    )
    await file('package.json', '{ "name": "project", "private": true, "type": "module" }')
    const result = await run(process.execPath, [
      join(installed, 'typescript', 'bin', 'tsc'),
      '-p',
      project,
    ]).catch((error: unknown) => error as { readonly stdout: string })
    expect(result.stdout).toBe('')
  })
})

async function file(name: string, text: string): Promise<string> {
  const path = join(project, name)
  await writeFile(path, text)
  return path
}

function node(path: string): Promise<{ stdout: string; stderr: string }> {
  return run(process.execPath, [path], { cwd: project, env: environment() })
}

async function npm(cwd: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
  try {
    return await run('npm', args, { cwd, env: environment(), maxBuffer: 16 << 20 })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`npm ${args[0] ?? ''} failed:\n${stdout}\n${stderr}`, { cause: error })
  }
}

/** As in a shell of the user's: without what the npm that runs this test tells its children, and with this Node. */
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|vitest|node_env)/i.test(name))
  return {
    ...Object.fromEntries(own),
    PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
  }
}

/** The build prints before the answer does. */
function packedOf(output: string): Packed {
  const answer: unknown = JSON.parse(output.slice(output.search(/^\[/m)))
  const [first] = answer as Packed[]
  if (first === undefined) throw new Error('npm packed nothing')
  return first
}
