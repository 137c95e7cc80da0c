/**
 * The documents say what is true: their code compiles and runs, their tables are those of the code, their links and the
 * tests that they name exist, and they name nothing of the machine that they were written on.
 */

import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { generated, generatedDocuments } from '../scripts/generate-docs.ts'
import { errorCodes } from '../src/base/errors.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const files = await filesOfTheProject()
const documents = files.filter((path) => path.endsWith('.md'))

describe('docs/guarantees.md', () => {
  const text = read('docs/guarantees.md')

  test('has G1 to G13, in order', () => {
    const numbers = [...text.matchAll(/^## G(\d+) /gm)].map(([, number]) => Number(number))
    expect(numbers).toEqual(Array.from({ length: 13 }, (_, at) => at + 1))
  })

  test('names conditions, the way, and tests for each', () => {
    const sections = text.split(/^## /m).filter((section) => /^G\d+ /.test(section))
    for (const section of sections) {
      for (const part of ['**Conditions.**', '**How.**', '**Checked by**']) {
        expect(section, section.slice(0, 40)).toContain(part)
      }
      expect(section.split('**Checked by**')[1], section.slice(0, 40)).toMatch(/`test\/[^`]+`/)
    }
  })

  test('says what is not promised', () => {
    expect(text).toContain('## Not promised')
  })
})

describe('documents', () => {
  test('name only tests, sources and examples that exist', () => {
    const missing = documents.flatMap((path) =>
      [...read(path).matchAll(/`((?:test|src|examples|scripts|bench)\/[^`\s*<>]+\.ts)`/g)]
        .map(([, named = '']) => named)
        .filter((named) => !existsSync(join(root, named)))
        .map((named) => `${path} names ${named}`),
    )
    expect(missing).toEqual([])
  })

  test('link to places that exist', () => {
    const broken = documents.flatMap((path) =>
      [...withoutCode(read(path)).matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, link = '']) => link)
        .filter((link) => !/^https?:/.test(link) && !reaches(path, link))
        .map((link) => `${path} links to ${link}`),
    )
    expect(broken).toEqual([])
  })

  test.each(generatedDocuments)('%s has the tables of the code', async (path) => {
    expect(await generated(path), 'out of date: npm run docs').toBe(read(path))
  })

  test('explain every error code', () => {
    const text = read('docs/errors.md')
    expect(Object.keys(errorCodes).filter((code) => !text.includes(`\`${code}\``))).toEqual([])
  })

  test('keep decisions to a page, and list all of them', () => {
    const pages = documents.filter((path) => /^docs\/decisions\/(?!README)/.test(path))
    expect(pages.length).toBeGreaterThan(0)
    for (const page of pages) {
      expect(read(page).split('\n').length, page).toBeLessThanOrEqual(60)
      expect(read('docs/decisions/README.md')).toContain(`(${page.replace('docs/decisions/', '')})`)
    }
  })
})

describe('code in documents', () => {
  const blocks = documents.flatMap((path) => blocksOf(path))

  test('compiles', () => {
    expect(blocks.length).toBeGreaterThan(5)
    expect(diagnosticsOf(blocks)).toEqual([])
  })

  test('runs: the first of the README, and prints what it says', async () => {
    const [first] = blocks.filter(({ path }) => path === 'README.md')
    if (first === undefined) throw new Error('README.md has no code')
    const place = await mkdtemp(join(tmpdir(), 'daybook-readme-'))
    try {
      await installFromSource(place)
      const file = join(place, 'first.ts')
      await writeFile(file, first.code)
      const { stdout } = await run(process.execPath, [file], { cwd: place })
      expect(stdout.trim()).toBe("{ name: 'Ada L.', visits: 2 }")
    } finally {
      await rm(place, { recursive: true })
    }
  })
})

describe('examples', () => {
  const examples = files.filter((path) => /^examples\/.+\.ts$/.test(path))

  /** What each prints where it does what it shows; a module without a main part prints nothing. */
  const expected: Readonly<Record<string, RegExp>> = {
    'examples/kysely-store.ts': /^$/,
    'examples/page-counter.ts': /4000 mutations became \d+ rows[^]*closed with 0 mutations pending/,
    'examples/quick-start.ts': /visits: 2[^]*3 mutations became 1 row/,
    'examples/refused-row.ts':
      /INVALID_VALUE[^]*rows: 2[^]*dead-lettered[^]*rows: 3[^]*dead letters: 0/,
  }

  test('are all here', () => {
    expect(examples).toEqual(Object.keys(expected))
  })

  test.each(Object.entries(expected))('%s runs', async (path, output) => {
    const { stdout } = await run(process.execPath, [join(root, path)])
    expect(stdout).toMatch(output)
  })
})

describe('the project', () => {
  test('names no path and no registry of the machine that it was written on', () => {
    const own = 'test/docs.test.ts'
    const wrong = files
      .filter((path) => path !== own && !/\.(png|jpg|ico)$/.test(path))
      .flatMap((path) =>
        [
          ...read(path).matchAll(
            /\/(?:work|root|Users)\/[\w.-]+|registry\.[\w-]+\.\w+|"resolved":/g,
          ),
        ].map(([found]) => `${path} names ${found}`),
      )
    expect(wrong).toEqual([])
  })
})

interface Block {
  readonly path: string
  readonly line: number
  readonly code: string
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** Not what is installed or built, nor what hides. */
async function filesOfTheProject(): Promise<string[]> {
  const found: string[] = []
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (/^(node_modules|dist|coverage|\.(?!ci$).*|.*\.(log|tgz))$/.test(entry.name)) continue
      if (entry.isDirectory()) await walk(path)
      else found.push(path)
    }
  }
  await walk('')
  return found.sort()
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[^]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '')
}

function reaches(from: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? from : join(dirname(from), path)
  if (!existsSync(join(root, target))) return false
  if (anchor === undefined || !target.endsWith('.md')) return true
  return headingsOf(read(target)).has(anchor)
}

/** As GitHub makes anchors of headings. */
function headingsOf(text: string): Set<string> {
  const headings = [...text.replaceAll(/^```[^]*?^```/gm, '').matchAll(/^#{1,6} (.+)$/gm)]
  return new Set(
    headings.map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

function blocksOf(path: string): Block[] {
  const text = read(path)
  return [...text.matchAll(/^```ts\n([^]*?)^```/gm)].map((match) => ({
    path,
    line: text.slice(0, match.index).split('\n').length + 1,
    code: match[1] ?? '',
  }))
}

/** What a fragment may use without saying where it comes from. */
const surroundings = `
  import type { Cache as AnyCache, Daybook as AnyDaybook, EventName as AnyEvent } from 'daybook'
  declare global {
    const book: AnyDaybook
    const users: AnyCache<{ name: string | null; visits: number }>
  }
`

/** Each block is a module of its own; `daybook` is the source. One line for each error. */
function diagnosticsOf(blocks: readonly Block[]): string[] {
  const names = new Map(blocks.map((block, at) => [join(root, `block-${at}.ts`), block]))
  const texts = new Map([...names].map(([name, { code }]) => [name, `export {}; ${code}`]))
  texts.set(join(root, 'surroundings.ts'), surroundings)
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2024.d.ts', 'lib.esnext.disposable.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    paths: Object.fromEntries(
      Object.entries(sourceOf).map(([name, path]) => [name, [join(root, path)]]),
    ),
  }
  const host = ts.createCompilerHost(options)
  const onDisk = {
    fileExists: host.fileExists.bind(host),
    readFile: host.readFile.bind(host),
    getSourceFile: host.getSourceFile.bind(host),
  }
  host.fileExists = (path) => texts.has(path) || onDisk.fileExists(path)
  host.readFile = (path) => texts.get(path) ?? onDisk.readFile(path)
  host.getSourceFile = (path, language, ...rest) => {
    const text = texts.get(path)
    return text === undefined
      ? onDisk.getSourceFile(path, language, ...rest)
      : ts.createSourceFile(path, text, language)
  }
  const program = ts.createProgram([...texts.keys()], options, host)
  return [...texts.keys()].flatMap((name) => {
    const file = program.getSourceFile(name)
    const block = names.get(name)
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ start = 0, messageText }) => {
        const line = (block?.line ?? 0) + (file?.getLineAndCharacterOfPosition(start).line ?? 0)
        return `${block?.path ?? name}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
      },
    )
  })
}

/** The package's entry points, as they stand. */
const sourceOf: Readonly<Record<string, string>> = {
  daybook: 'src/index.ts',
  'daybook/sqlite': 'src/store/sqlite/index.ts',
  'daybook/postgres': 'src/store/postgres/index.ts',
  'daybook/testing': 'src/testing/index.ts',
}

/** A node_modules whose `daybook` is this source tree: Node runs linked sources, but none in node_modules itself. */
async function installFromSource(place: string): Promise<void> {
  const home = join(place, 'node_modules', 'daybook')
  await mkdir(home, { recursive: true })
  await symlink(join(root, 'src'), join(home, 'src'))
  const exports = Object.fromEntries(
    Object.entries(sourceOf).map(([name, path]) => [name.replace('daybook', '.'), `./${path}`]),
  )
  await writeFile(
    join(home, 'package.json'),
    JSON.stringify({ name: 'daybook', type: 'module', exports }),
  )
  await writeFile(join(place, 'package.json'), JSON.stringify({ type: 'module' }))
}
