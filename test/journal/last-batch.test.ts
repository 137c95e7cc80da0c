/** The copy of the last batch that an open makes before it writes that batch once more. */

import { describe, expect, test } from 'vitest'
import { pageBytes } from '../../src/journal/format.ts'
import type { MemoryFiles } from '../../src/testing/memory-files.ts'
import { directory, JournalFixture, keysOf, write } from './journal-fixture.ts'

async function killedJournal(): Promise<[MemoryFiles, string]> {
  const fixture = new JournalFixture()
  const journal = await fixture.open()
  await write(journal, 'a')
  await write(journal, 'b')
  const [name] = await fixture.segments()
  return [fixture.files.kill(), `${directory}/${name}`]
}

async function openedKeys(files: MemoryFiles): Promise<string[]> {
  const journal = await new JournalFixture(files, 7).open()
  const keys = [...(await keysOf(journal)).values()]
  await journal.close()
  return keys
}

async function copiesIn(files: MemoryFiles): Promise<string[]> {
  return (await files.list(directory)).filter((name) => name.startsWith('saved-'))
}

describe('the copy of the last batch', () => {
  test('is done without where the disk is full, so that what is pending still gets to the store', async () => {
    const [files] = await killedJournal()
    files.plan = ({ kind, path }) =>
      kind === 'write' && path.includes('saved-') ? { code: 'ENOSPC', partialBytes: 10 } : undefined
    expect(await openedKeys(files)).toEqual(['a', 'b'])
    expect(await copiesIn(files)).toEqual([])
  })

  test('that cannot be made for another reason refuses the open, and can be made later', async () => {
    const [files] = await killedJournal()
    files.plan = ({ kind, path }) =>
      kind === 'write' && path.includes('saved-') ? { code: 'EIO' } : undefined
    await expect(new JournalFixture(files, 7).open()).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
    })
    files.plan = () => undefined
    expect(await openedKeys(files)).toEqual(['a', 'b'])
    expect(await copiesIn(files)).toEqual([])
  })

  test.each<[string, (copy: Uint8Array) => Uint8Array]>([
    ['with a flipped bit in its records', (copy) => copy.fill(0x55, 120, 121)],
    ['with a flipped bit in its header', (copy) => copy.fill(0x55, 50, 51)],
    ['that is too long', (copy) => Buffer.concat([copy, new Uint8Array(pageBytes)])],
    ['that is empty', () => new Uint8Array(0)],
  ])('%s is not put back, and goes', async (_name, damage) => {
    const [files, path] = await killedJournal()
    const segment = path.slice(directory.length + 1, -'.wal'.length)
    const copy = files.contentOf(path).slice(2 * pageBytes, 3 * pageBytes)
    files.place(`${directory}/saved-${segment}-${2 * pageBytes}.bin`, damage(copy))
    expect(await openedKeys(files)).toEqual(['a', 'b'])
    expect(await copiesIn(files)).toEqual([])
  })

  test('is put back where a power cut garbled the batch', async () => {
    const [files, path] = await killedJournal()
    const segment = path.slice(directory.length + 1, -'.wal'.length)
    const whole = files.contentOf(path)
    const copy = whole.slice(2 * pageBytes, 3 * pageBytes)
    files.place(path, whole.fill(0xa5, 2 * pageBytes, 2 * pageBytes + 512))
    files.place(`${directory}/saved-${segment}-${2 * pageBytes}.bin`, copy)
    expect(await openedKeys(files)).toEqual(['a', 'b'])
  })
})
