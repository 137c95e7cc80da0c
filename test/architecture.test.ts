/**
 * The project's shape, read from its syntax trees: which way imports point, where time, chance, files and sockets are
 * touched, and what is not written at all.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

interface Import {
  /** Path from the root where it is one of ours, else the package. */
  readonly to: string
  /** Gone at run time. */
  readonly typeOnly: boolean
  /** `import(…)`: loaded when it is needed. */
  readonly dynamic: boolean
}

interface Source {
  readonly path: string
  readonly tree: ts.SourceFile
  readonly imports: readonly Import[]
}

const sources = filesIn('src').map(readSource)
const byPath = new Map(sources.map((source) => [source.path, source]))

/** Each may import what is before it in its line; see ARCHITECTURE.md. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  base: [],
  mutation: ['base'],
  journal: ['base', 'mutation'],
  store: ['base', 'mutation'],
  tier: ['base', 'mutation'],
  flush: ['base', 'mutation', 'journal', 'store', 'observe'],
  book: ['base', 'mutation', 'journal', 'store', 'tier', 'flush', 'observe'],
  control: ['base', 'mutation', 'flush'],
  'open-daybook.ts': ['base', 'book', 'control'],
  'index.ts': ['base', 'store', 'flush', 'book', 'observe', 'open-daybook.ts'],
  demo: ['base', 'mutation', 'store', 'book', 'observe', 'open-daybook.ts'],
  server: [
    ...['base', 'mutation', 'store', 'flush', 'book', 'observe', 'control'],
    'open-daybook.ts',
  ],
  cli: [
    ...['base', 'mutation', 'journal', 'store', 'flush', 'observe', 'control', 'server', 'demo'],
    'open-daybook.ts',
  ],
  // Sides: they look at the engine, and nothing in it rests on them but to say what happens.
  observe: ['base', 'mutation'],
  testing: ['base', 'mutation', 'journal', 'store', 'tier'],
}

/** Types only: what the sides say something about. */
const allowedTypes: Readonly<Record<string, readonly string[]>> = {
  observe: ['journal', 'store', 'flush'],
}

describe('imports', () => {
  test('point one way', () => {
    const wrong = everyImport(({ source, to, typeOnly }) => {
      if (!to.startsWith('src/')) return undefined
      const from = partOf(source.path)
      const target = partOf(to)
      if (from === target) return undefined
      if (allowed[from]?.includes(target) === true) return undefined
      if (typeOnly && allowedTypes[from]?.includes(target) === true) return undefined
      return `${source.path} imports ${to}`
    })
    expect(wrong).toEqual([])
  })

  test('have no part that the table does not know', () => {
    const unknown = new Set(sources.map(({ path }) => partOf(path)))
    expect([...unknown].filter((part) => allowed[part] === undefined)).toEqual([])
  })

  test('make no cycle at run time', () => {
    expect(cycles()).toEqual([])
  })

  test('never reach for an entry point', () => {
    const entries = ['src/index.ts', 'src/store/sqlite/index.ts', 'src/store/postgres/index.ts']
    const wrong = everyImport(({ source, to, dynamic }) => {
      if (!entries.includes(to)) return undefined
      // The command line loads the store that a URL names.
      if (dynamic && source.path === 'src/store/store-url.ts') return undefined
      return `${source.path} imports ${to}`
    })
    expect(wrong).toEqual([])
  })

  test('keep each driver in its own folder', () => {
    const homes: Readonly<Record<string, readonly string[]>> = {
      // The kernel's file lock comes by way of SQLite; the demonstration looks into the databases by itself.
      'node:sqlite': ['src/store/sqlite/', 'src/base/node-files.ts', 'src/demo/'],
      pg: ['src/store/postgres/', 'src/demo/'],
      'lru-cache': ['src/tier/'],
      commander: ['src/cli/'],
    }
    const wrong = everyImport(({ source, to }) => {
      const home = homes[to]
      if (home === undefined || home.some((place) => source.path.startsWith(place)))
        return undefined
      return `${source.path} imports ${to}`
    })
    expect(wrong).toEqual([])
  })

  test('of a store do not reach into another store, nor from the port into a store', () => {
    const wrong = everyImport(({ source, to, dynamic }) => {
      const store = /^src\/store\/([^/]+)\//.exec(to)?.[1]
      if (store === undefined || !source.path.startsWith('src/store/')) return undefined
      if (source.path.startsWith(`src/store/${store}/`)) return undefined
      return dynamic && source.path === 'src/store/store-url.ts'
        ? undefined
        : `${source.path} imports ${to}`
    })
    expect(wrong).toEqual([])
  })

  test('of packages are of dependencies; optional peers are loaded when they are needed', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    const known = new Set(Object.keys(manifest.dependencies))
    const wrong = everyImport(({ source, to, typeOnly, dynamic }) => {
      if (to.startsWith('src/') || to.startsWith('node:') || known.has(to)) return undefined
      // A type of the driver may not get into the public types: who has no driver must compile too.
      if (to === 'pg' && (dynamic || (typeOnly && source.path.startsWith('src/demo/'))))
        return undefined
      return `${source.path} imports ${to}`
    })
    expect(wrong).toEqual([])
  })
})

/** Where the outside world may be touched; everywhere else it comes in by a port. */
const places: Readonly<Record<string, readonly string[]>> = {
  'Date.now': ['src/base/clock.ts'],
  'Math.random': ['src/base/random.ts', 'src/cli/', 'src/demo/'],
  'process.env': ['src/cli/main.ts', 'src/demo/'],
  performance: ['src/base/clock.ts', 'src/store/sqlite/sqlite-store.ts'],
  setTimeout: ['src/base/clock.ts', 'src/base/node-files.ts'],
  setInterval: ['src/cli/main.ts', 'src/demo/'],
  setImmediate: ['src/base/clock.ts', 'src/demo/'],
  console: [],
}

const modulePlaces: Readonly<Record<string, readonly string[]>> = {
  'node:fs': [
    ...['src/base/', 'src/store/sqlite/', 'src/control/address.ts', 'src/cli/', 'src/demo/'],
    // A file of an installed package, as `import` would read it.
    'src/server/redis/lua/package.ts',
  ],
  'node:fs/promises': ['src/cli/', 'src/demo/'],
  'node:net': ['src/control/', 'src/server/redis/', 'src/store/postgres/'],
  'node:timers/promises': ['src/store/sqlite/', 'src/demo/'],
  'node:child_process': ['src/cli/', 'src/demo/'],
  'node:worker_threads': ['src/base/'],
}

describe('the outside world', () => {
  for (const [name, homes] of Object.entries(places)) {
    test(`${name} is used ${homes.length === 0 ? 'nowhere' : `only in ${homes.join(', ')}`}`, () => {
      const users = sources.filter(({ tree }) => uses(tree, name)).map(({ path }) => path)
      expect(users.filter((path) => !homes.some((home) => path.startsWith(home)))).toEqual([])
    })
  }

  test.each(Object.entries(modulePlaces))('%s is imported only in %j', (name, homes) => {
    const wrong = everyImport(({ source, to }) =>
      to === name && !homes.some((home) => source.path.startsWith(home)) ? source.path : undefined,
    )
    expect(wrong).toEqual([])
  })
})

describe('what is not written', () => {
  const everything = ['src', 'test', 'examples', 'scripts', 'bench']
    .flatMap((folder) => filesIn(folder))
    .map(readSource)

  test('any, and the non-null assertion', () => {
    const wrong = everything.flatMap(({ path, tree }) =>
      nodesIn(tree)
        .filter((node) => node.kind === ts.SyntaxKind.AnyKeyword || ts.isNonNullExpression(node))
        .map((node) => place(path, tree, node)),
    )
    expect(wrong).toEqual([])
  })

  test('comments that silence the compiler, and work that is left for later', () => {
    const banned = new RegExp(
      ['@ts-(ignore|nocheck)', 'TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|'),
    )
    const wrong = everything.flatMap(({ path, tree }) =>
      commentsIn(tree)
        .filter((comment) => banned.test(comment))
        .map((comment) => `${path}: ${comment.slice(0, 80)}`),
    )
    expect(wrong).toEqual([])
  })

  test('default exports, enums and namespaces', () => {
    const wrong = sources.flatMap(({ path, tree }) =>
      nodesIn(tree)
        .filter((node) =>
          node.kind === ts.SyntaxKind.DefaultKeyword
            ? !ts.isDefaultClause(node.parent) && node.parent.kind !== ts.SyntaxKind.ImportSpecifier
            : ts.isExportAssignment(node) ||
              ts.isEnumDeclaration(node) ||
              ts.isModuleDeclaration(node),
        )
        .map((node) => place(path, tree, node)),
    )
    expect(wrong).toEqual([])
  })
})

describe('files', () => {
  const all = ['src', 'test', 'examples', 'scripts', 'bench'].flatMap((folder) => filesIn(folder))

  test('have names in kebab-case', () => {
    const wrong = all.filter(
      (path) => !/^[a-z0-9-]+(\.(test|bench))?\.ts$/.test(posix.basename(path)),
    )
    expect(wrong).toEqual([])
  })

  test('are named for what is in them', () => {
    const empty =
      /^(utils?|helpers?|types|common|misc|shared|lib|constants|interfaces|manager)\.ts$/
    expect(
      sources.filter(({ path }) => empty.test(posix.basename(path))).map(({ path }) => path),
    ).toEqual([])
  })

  test('in src begin by saying what they are', () => {
    const silent = sources
      .filter(({ tree }) => !/^(#!.*\n)?\/\*\*/.test(tree.text))
      .map(({ path }) => path)
    expect(silent).toEqual([])
  })
})

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/node_modules|(^|\/)\./.test(name))
    .map((name) => posix.join(folder, name))
    .sort()
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  return { path, tree, imports: nodesIn(tree).flatMap((node) => importOf(path, node) ?? []) }
}

function importOf(path: string, node: ts.Node): Import | undefined {
  if (ts.isImportDeclaration(node)) {
    const clause = node.importClause
    const bindings = clause?.namedBindings
    const typeOnly =
      clause?.phaseModifier === ts.SyntaxKind.TypeKeyword ||
      (bindings !== undefined &&
        clause?.name === undefined &&
        ts.isNamedImports(bindings) &&
        bindings.elements.every((element) => element.isTypeOnly))
    return target(path, node.moduleSpecifier, typeOnly, false)
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    const clause = node.exportClause
    const typeOnly =
      node.isTypeOnly ||
      (clause !== undefined &&
        ts.isNamedExports(clause) &&
        clause.elements.every((element) => element.isTypeOnly))
    return target(path, node.moduleSpecifier, typeOnly, false)
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [specifier] = node.arguments
    return specifier === undefined ? undefined : target(path, specifier, false, true)
  }
  return undefined
}

function target(
  path: string,
  specifier: ts.Node,
  typeOnly: boolean,
  dynamic: boolean,
): Import | undefined {
  if (!ts.isStringLiteralLike(specifier)) return undefined
  const { text } = specifier
  const to = text.startsWith('.') ? posix.join(dirname(path), text) : packageOf(text)
  return { to, typeOnly, dynamic }
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier
  const parts = specifier.split('/')
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}

/** The folder under src, or the file itself where it is in none. */
function partOf(path: string): string {
  return path.split('/')[1] ?? ''
}

function everyImport(
  problemOf: (found: Import & { readonly source: Source }) => string | undefined,
): string[] {
  return sources.flatMap((source) =>
    source.imports.flatMap((found) => problemOf({ ...found, source }) ?? []),
  )
}

/** Each cycle once, as the path around it. */
function cycles(): string[] {
  const done = new Set<string>()
  const found: string[] = []
  const visit = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path)
    if (at >= 0) {
      found.push([...way.slice(at), path].join(' → '))
      return
    }
    if (done.has(path)) return
    const { imports = [] } = byPath.get(path) ?? {}
    for (const { to, typeOnly, dynamic } of imports) {
      if (!typeOnly && !dynamic && byPath.has(to)) visit(to, [...way, path])
    }
    done.add(path)
  }
  for (const { path } of sources) visit(path, [])
  return found
}

function nodesIn(tree: ts.Node): ts.Node[] {
  const nodes: ts.Node[] = []
  const visit = (node: ts.Node): void => {
    nodes.push(node)
    node.forEachChild(visit)
  }
  visit(tree)
  return nodes
}

/** `Date.now`, or a global that no import of the file shadows. */
function uses(tree: ts.SourceFile, name: string): boolean {
  const [object = '', property] = name.split('.')
  if (property !== undefined) {
    return nodesIn(tree).some(
      (node) =>
        ts.isPropertyAccessExpression(node) &&
        node.name.text === property &&
        ts.isIdentifier(node.expression) &&
        node.expression.text === object,
    )
  }
  return nodesIn(tree).some(
    (node) =>
      ts.isIdentifier(node) &&
      node.text === object &&
      !ts.isImportSpecifier(node.parent) &&
      !ts.isPropertySignature(node.parent) &&
      !(ts.isPropertyAccessExpression(node.parent) && node.parent.name === node) &&
      !(ts.isQualifiedName(node.parent) && node.parent.right === node),
  )
}

function commentsIn(tree: ts.SourceFile): string[] {
  return tree.text.match(/\/\*[^]*?\*\/|\/\/[^\n]*/g) ?? []
}

function place(path: string, tree: ts.SourceFile, node: ts.Node): string {
  const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree))
  return `${path}:${line + 1}: ${node.parent.getText(tree).slice(0, 80)}`
}
