/** The dashboard's modules are plain JavaScript: the compiler checks them by their JSDoc types. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'

const folder = join(import.meta.dirname, '../../../src/server/dashboard')
const files = readdirSync(folder).filter((name) => name.endsWith('.js'))

it('compile without an error', () => {
  const config = ts.getParsedCommandLineOfConfigFile(join(folder, 'tsconfig.json'), undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'))
    },
  })
  expect(config?.fileNames.length).toBe(files.length)
  const program = ts.createProgram(config?.fileNames ?? [], config?.options ?? {})
  const problems = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file?.getLineAndCharacterOfPosition(start ?? 0).line ?? 0
    return `${file?.fileName}:${line + 1} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
  expect(problems).toEqual([])
})

it('never make markup of text, and load nothing from elsewhere', () => {
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), 'utf8')
    expect([
      name,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/.test(text),
    ]).toEqual([name, false])
    const urls = text.match(/https?:\/\/[^\s'"`)]+/g) ?? []
    expect([name, urls.filter((url) => url !== 'http://www.w3.org/2000/svg')]).toEqual([name, []])
  }
})

it('have no style or script inline, which the policy forbids', () => {
  const html = readFileSync(join(folder, 'index.html'), 'utf8')
  expect(html).not.toMatch(/\sstyle=|<style|\son\w+=|<script(?![^>]*\ssrc=)/)
})

it('give axes round ends', async () => {
  const { niceCeiling, durationCeiling } = (await import(join(folder, 'charts.js'))) as {
    niceCeiling(this: void, value: number): number
    durationCeiling(this: void, ms: number): number
  }
  for (const [value, ceiling] of [
    [0, 1],
    [0.3, 0.5],
    [1, 1],
    [1.1, 2],
    [2.2, 2.5],
    [4_999, 5_000],
    [5_001, 10_000],
  ] as const) {
    expect(niceCeiling(value)).toBeCloseTo(ceiling, 10)
  }
  for (const [ms, ceiling] of [
    [0, 1],
    [420, 500],
    [5_001, 10_000],
    [52_000, 60_000],
    [61_000, 120_000],
    [90_000_000, 172_800_000],
  ] as const) {
    expect(durationCeiling(ms)).toBe(ceiling)
  }
})

it('show names as they are, and not as they travel', async () => {
  const { valueColumns, writtenColumns, summaryOf } = (await import(join(folder, 'values.js'))) as {
    valueColumns(this: void, value: unknown): Map<string, string>
    writtenColumns(this: void, mutation: object): Map<string, string>
    summaryOf(this: void, mutation: object): string
  }
  const fields = { $$type: 'list', $$: 'dollar', name: { $bigint: '9007199254740993' } }
  const columns = [
    ['$type', 'list'],
    ['$', 'dollar'],
    ['name', '9007199254740993'],
  ]
  expect([...valueColumns(fields)]).toEqual(columns)
  expect([...writtenColumns({ kind: 'set', fields })]).toEqual(columns)
  expect(summaryOf({ kind: 'set', fields })).toBe('$type=list  $=dollar  name=9007199254740993')
  const patch = { kind: 'patch', fields: {}, amounts: {}, removed: { $$type: true, note: true } }
  expect(summaryOf(patch)).toBe('−$type  −note')
  expect([...writtenColumns(patch)]).toEqual([
    ['$type', 'removed'],
    ['note', 'removed'],
  ])
})
