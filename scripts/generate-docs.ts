/**
 * Writes the tables of the documentation from the tables of the code. Between
 *
 *     <!-- generated: name -->   and   <!-- end -->
 *
 * a document is generated; all else in it is written by hand. `--check` writes nothing and fails where one is out of date.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import ts from 'typescript'
import type { OptionRow, OptionTable } from '../src/base/options.ts'
import {
  bookTable,
  cacheTable,
  flushTable,
  journalTable,
  pressureTable,
  rejectionTable,
} from '../src/book/options.ts'
import { observeWithOpenTelemetry } from '../src/observe/otel.ts'
import { routes } from '../src/server/http/routes.ts'

const root = join(import.meta.dirname, '..')

export const generatedDocuments = [
  'docs/errors.md',
  'docs/options.md',
  'docs/metrics.md',
  'docs/http-api.md',
  'README.md',
] as const

/** The document with every generated part as it should be. */
export async function generated(document: string): Promise<string> {
  const path = join(root, document)
  const text = readFileSync(path, 'utf8').replaceAll(
    /(<!-- generated: ([a-z-]+) -->\n)[^]*?(<!-- end -->)/g,
    (_, start: string, name: string, end: string) => {
      const part = parts.get(name)
      if (part === undefined) throw new Error(`${document}: nothing generates "${name}"`)
      return `${start}\n${part()}\n\n${end}`
    },
  )
  return format(text, { ...(await resolveConfig(path)), parser: 'markdown' })
}

const parts = new Map<string, () => string>([
  ['errors', errorTables],
  ['book-options', () => optionTable(bookTable, 'DaybookOptions')],
  ['flush-options', () => optionTable(flushTable, 'FlushOptions')],
  ['journal-options', () => optionTable(journalTable, 'JournalOptions')],
  ['pressure-options', () => optionTable(pressureTable, 'PressureOptions')],
  ['cache-options', () => optionTable(cacheTable, 'CacheOptions')],
  ['rejection-options', rejectionRows],
  ['sqlite-options', () => memberTable('src/store/sqlite/sqlite-store.ts', 'SqliteOptions')],
  ['postgres-options', () => memberTable('src/store/postgres/index.ts', 'PostgresOptions')],
  ['events', () => payloadTable('src/observe/events.ts', 'EventMap', 'Event')],
  ['channels', () => payloadTable('src/observe/diagnostics.ts', 'DiagnosticsMap', 'Channel')],
  ['instruments', instrumentTable],
  ['stats', statsTable],
  ['demo', demoExcerpt],
  ['http-routes', routeTable],
  ['http-options', () => memberTable('src/server/http/http-options.ts', 'HttpOptions')],
  ['http-limits', () => memberTable('src/server/http/http-options.ts', 'HttpLimits')],
])

// ── Errors ──

/** By the comment that stands over each group in the table. */
function errorTables(): string {
  const source = parse('src/base/errors.ts')
  const table = find(source, ts.isObjectLiteralExpression)
  const groups: string[][] = []
  for (const property of table.properties) {
    if (!ts.isPropertyAssignment(property) || !ts.isStringLiteralLike(property.initializer))
      continue
    const title = ts
      .getLeadingCommentRanges(source.text, property.pos)
      ?.map(({ pos, end }) => source.text.slice(pos, end).replace(/^\/\/ /, ''))
      .join(' ')
    if (title !== undefined)
      groups.push([`### ${title.replace(/\.$/, '')}\n`, ...rowHead('Code', 'Meaning')])
    groups.at(-1)?.push(row(code(property.name.getText(source)), property.initializer.text))
  }
  return groups.map((lines) => lines.join('\n')).join('\n\n')
}

// ── Options ──

function optionTable(table: OptionTable, interfaceName: string): string {
  const docs = memberDocs(parse('src/book/options.ts'), interfaceName)
  const lines = Object.entries(table).map(([name, option]) =>
    row(code(name), typeOf(option), defaultOf(option), docs.get(name)?.text || option.doc),
  )
  return [...rowHead('Option', 'Type', 'Default', 'What it does'), ...lines].join('\n')
}

function typeOf(option: OptionRow): string {
  switch (option.type) {
    case 'number': {
      const unit = option.unit === undefined || option.unit === 'bytes' ? '' : ` ${option.unit}`
      return `${number(option.min, option)} – ${number(option.max, option)}${unit}`
    }
    case 'strings':
      return 'string or strings'
    case 'boolean':
    case 'string':
    case 'function':
    case 'object':
      return option.type
    default:
      return option.type.map((choice) => code(`'${choice}'`)).join(', ')
  }
}

function defaultOf(option: OptionRow): string {
  if ('required' in option) return 'required'
  const value: unknown = option.default
  if (value === undefined) return '–'
  if (typeof value === 'number') return number(value, option)
  return code(typeof value === 'string' ? `'${value}'` : JSON.stringify(value))
}

/** 67108864 bytes are 64 MiB; other numbers get thousands separators. */
function number(value: number, option: OptionRow): string {
  const text = (count: number): string => count.toLocaleString('en')
  if (option.type !== 'number' || option.unit !== 'bytes') return text(value)
  const units = [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const
  const found = units.find(([, size]) => value >= size && value % size === 0)
  return found === undefined ? text(value) : `${text(value / found[1])} ${found[0]}`
}

function rejectionRows(): string {
  const lines = Object.entries(rejectionTable).map(([name, option]) =>
    row(code(`onRejected.${name}`), typeOf(option), defaultOf(option)),
  )
  return [...rowHead('Option', 'Type', 'Default'), ...lines].join('\n')
}

/** For options without a table of their own here: what their comments say. */
function memberTable(path: string, interfaceName: string): string {
  const lines = [...memberDocs(parse(path), interfaceName)].map(
    ([name, { text, type, optional }]) =>
      row(code(name), code(type.replace(' | undefined', '')), optional ? '' : 'required', text),
  )
  return [...rowHead('Option', 'Type', '', 'What it does'), ...lines].join('\n')
}

// ── Observability ──

function payloadTable(path: string, interfaceName: string, title: string): string {
  const source = parse(path)
  const lines = membersOf(source, interfaceName).map((member) => {
    const fields =
      member.type !== undefined && ts.isTypeLiteralNode(member.type)
        ? member.type.members.map((field) => code(field.name?.getText(source) ?? ''))
        : []
    return row(code(nameOf(member, source)), docOf(member), fields.join(', '))
  })
  return [...rowHead(title, 'When', 'Payload'), ...lines].join('\n')
}

interface Instrument {
  readonly name: string
  readonly kind: string
  readonly unit: string
  readonly description: string
}

function instrumentTable(): string {
  const instruments: Instrument[] = []
  const create =
    (kind: string) =>
    (name: string, { unit, description }: { unit: string; description: string }): string => {
      instruments.push({ name, kind, unit, description })
      return name
    }
  observeWithOpenTelemetry(
    {
      stats: () => {
        throw new Error('nothing is collected here')
      },
    },
    {
      createObservableGauge: create('gauge'),
      createObservableCounter: create('counter'),
      createObservableUpDownCounter: create('up-down counter'),
      addBatchObservableCallback: () => undefined,
      removeBatchObservableCallback: () => undefined,
    },
  )
  const lines = instruments.map(({ name, kind, unit, description }) =>
    row(code(name), kind, code(unit), description),
  )
  return [...rowHead('Instrument', 'Kind', 'Unit', 'What it says'), ...lines].join('\n')
}

function statsTable(): string {
  const source = parse('src/observe/stats.ts')
  const lines: string[] = []
  const walk = (members: readonly ts.PropertySignature[], prefix: string): void => {
    for (const member of members) {
      const name = prefix + nameOf(member, source)
      if (member.type !== undefined && ts.isTypeLiteralNode(member.type)) {
        walk(member.type.members.filter(ts.isPropertySignature), `${name}.`)
      } else lines.push(row(code(name), code(member.type?.getText(source) ?? ''), docOf(member)))
    }
  }
  walk(membersOf(source, 'BookStats'), '')
  return [...rowHead('Field', 'Type', 'Note'), ...lines].join('\n')
}

// ── HTTP ──

function routeTable(): string {
  const lines = routes.map(({ method, path, open, summary }) =>
    row(code(`${method} ${path}`), open === true ? 'open' : '', summary),
  )
  return [...rowHead('Route', '', 'What it does'), ...lines].join('\n')
}

// ── The demonstration ──

/** From a real run on SQLite, kept in a file: its verdict, and what it measured. */
function demoExcerpt(): string {
  const path = join(root, 'docs/demo-output.txt')
  if (!existsSync(path)) return ''
  const output = readFileSync(path, 'utf8')
  const start = output.search(/^flights /m)
  const end = output.indexOf('\n$ ', start)
  const excerpt = output.slice(Math.max(0, start), end < 0 ? undefined : end)
  return ['```text', excerpt.trimEnd(), '```'].join('\n')
}

// ── Reading TypeScript ──

function parse(path: string): ts.SourceFile {
  const text = readFileSync(join(root, path), 'utf8')
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
}

function find<Node extends ts.Node>(source: ts.Node, is: (node: ts.Node) => node is Node): Node {
  const search = (node: ts.Node): Node | undefined =>
    is(node) ? node : ts.forEachChild(node, search)
  const found = search(source)
  if (found === undefined) throw new Error(`${source.getSourceFile().fileName}: not found`)
  return found
}

function membersOf(source: ts.SourceFile, interfaceName: string): ts.PropertySignature[] {
  const declaration = find(
    source,
    (node): node is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(node) && node.name.text === interfaceName,
  )
  return declaration.members.filter(ts.isPropertySignature)
}

interface MemberDoc {
  readonly text: string
  readonly type: string
  readonly optional: boolean
}

function memberDocs(source: ts.SourceFile, interfaceName: string): Map<string, MemberDoc> {
  return new Map(
    membersOf(source, interfaceName).map((member) => [
      nameOf(member, source),
      {
        text: docOf(member),
        type: member.type?.getText(source) ?? '',
        optional: member.questionToken !== undefined,
      },
    ]),
  )
}

function nameOf(member: ts.PropertySignature, source: ts.SourceFile): string {
  return member.name.getText(source).replaceAll("'", '')
}

function docOf(member: ts.PropertySignature): string {
  const [comment] = ts.getJSDocCommentsAndTags(member).filter(ts.isJSDoc)
  return typeof comment?.comment === 'string' ? comment.comment.replaceAll(/\s*\n\s*/g, ' ') : ''
}

// ── Writing Markdown ──

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function rowHead(...names: readonly string[]): string[] {
  return [row(...names), row(...names.map(() => '---'))]
}

function code(text: string): string {
  return text === '' ? '' : `\`${text.replaceAll(/\s+/g, ' ')}\``
}

async function main(check: boolean): Promise<number> {
  let outdated = 0
  for (const document of generatedDocuments) {
    const path = join(root, document)
    const text = await generated(document)
    if (text === readFileSync(path, 'utf8')) continue
    outdated++
    if (!check) writeFileSync(path, text)
    process.stdout.write(`${document} ${check ? 'is out of date: npm run docs' : 'written'}\n`)
  }
  return check && outdated > 0 ? 1 : 0
}

if (import.meta.main) process.exitCode = await main(process.argv.includes('--check'))
