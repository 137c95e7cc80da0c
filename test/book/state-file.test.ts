import { describe, expect, test } from 'vitest'

import { Declarations } from '../../src/book/declarations.ts'
import { readCacheOptions } from '../../src/book/options.ts'
import { parseState, writeState } from '../../src/book/state-file.ts'
import { MemoryFiles } from '../../src/testing/memory-files.ts'

const path = '/book/state.json'

async function written(content: unknown): Promise<Buffer> {
  const files = new MemoryFiles()
  await files.makeDirectory('/book')
  await writeState(files, '/book', 'state.json', content)
  return Buffer.from(files.contentOf(path))
}

const bytesOf = (text: string): Buffer => Buffer.from(text)

describe('a file of state', () => {
  test('gives its content back, and is replaced as a whole', async () => {
    const content = { positions: [1, 2 ** 50], 'a "name"': null, é: ['\u2028'] }
    expect(parseState(await written(content))).toEqual(content)
    const files = new MemoryFiles()
    await files.makeDirectory('/book')
    await writeState(files, '/book', 'state.json', 1)
    files.plan = ({ kind }) => (kind === 'rename' ? { code: 'EIO' } : undefined)
    await expect(writeState(files, '/book', 'state.json', 2)).rejects.toMatchObject({ code: 'EIO' })
    expect(parseState(files.contentOf(path))).toBe(1)
  })

  test('with a flipped bit is refused, or gives the same', async () => {
    const content = { journal: 'j', positions: [12, 345] }
    const bytes = await written(content)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
      let read: unknown = content
      try {
        read = parseState(flipped)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
      }
      expect([bit, read]).toEqual([bit, content])
    }
  })

  test('of version 1 has its content beside the version, and no checksum', () => {
    const old = { version: 1, caches: [] }
    expect(parseState(bytesOf(JSON.stringify(old)))).toEqual(old)
    expect(() => parseState(bytesOf('{"version":1,"checksum":"00000000"}'))).toThrow('version is 1')
  })

  test.each([
    ['nothing', '', 'JSON'],
    ['an array', '[]', 'it is not an object'],
    ['null', 'null', 'it is not an object'],
    ['a newer version', '{"version":3}', 'its version is 3'],
    ['no version', '{}', 'its version is undefined'],
    ['no content', '{"version":2,"checksum":"00000001"}', 'its checksum does not match'],
  ])('that is %s is refused', (_name, text, reason) => {
    expect(() => parseState(bytesOf(text))).toThrow(reason)
  })
})

describe('caches.json', () => {
  const options = readCacheOptions('users', { table: 'users', key: 'id' })
  const { table, key, columns, rest, expire, rejection } = options
  const declaration = { table, key, columns, rest, expire, rejection }

  async function opened(caches: unknown): Promise<Declarations> {
    const files = new MemoryFiles()
    files.place('/book/caches.json', bytesOf(JSON.stringify({ version: 1, caches })))
    return Declarations.open(files, '/book')
  }

  test('of version 1 is read', async () => {
    const declarations = await opened([['users', declaration]])
    expect(declarations.get('users')).toEqual(JSON.parse(JSON.stringify(declaration)))
  })

  test.each<[string, unknown]>([
    ['no list', 5],
    ['no pair', [['users']]],
    ['a name that is none', [[5, declaration]]],
    ['no declaration', [['users', null]]],
    ['another table', [['users', { ...declaration, table: 5 }]]],
    ['no key', [['users', { ...declaration, key: undefined }]]],
    ['a key of numbers', [['users', { ...declaration, key: [1] }]]],
    ['columns that are none', [['users', { ...declaration, columns: 'id' }]]],
    ['another rest', [['users', { ...declaration, rest: 5 }]]],
    ['another end', [['users', { ...declaration, expire: 'never' }]]],
    ['no rejections', [['users', { ...declaration, rejection: [] }]]],
    ['half of the rejections', [['users', { ...declaration, rejection: { set: 'park' } }]]],
  ])('with %s is refused with its path', async (_name, caches) => {
    await expect(opened(caches)).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      details: { file: '/book/caches.json' },
    })
  })
})
