/** The journal commands on real files, whole and damaged. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDaybook } from '../../src/open-daybook.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import { run } from './run.ts'

let directory = ''

/** A stopped daybook with 40 records, of which none has reached the store. */
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-test-'))
  const book = await openDaybook({
    directory,
    store: memoryStore(),
    journal: { segmentBytes: 65_536, retainBytes: 0, maxBytes: 1_048_576 },
  })
  book.pause()
  const values = book.cache('values')
  for (let at = 0; at < 40; at++) await values.set(`key-${at}`, { text: 'x'.repeat(3_000), at })
  await book.close({ drainTimeoutMs: 0 })
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function segments(): string[] {
  const journal = join(directory, 'journal')
  const names = readdirSync(journal).filter((name) => name.endsWith('.wal'))
  return names.sort().map((name) => join(journal, name))
}

/** Turns one bit in the middle of what the first segment has. */
function damage(): void {
  const [file = ''] = segments()
  const content = readFileSync(file)
  const at = content.indexOf('xxxx', 20_000)
  content[at] = (content[at] ?? 0) ^ 1
  writeFileSync(file, content)
}

describe('a whole journal', () => {
  it('is inspected and verified', async () => {
    const inspected = await run(['journal', 'inspect', directory])
    expect(inspected).toMatchObject({ code: 0, err: '' })
    expect(inspected.out).toMatch(/records +40, positions 1 to 40/)
    expect(inspected.out).toMatch(/state +whole\n/)
    const verified = await run(['journal', 'verify', directory])
    expect(verified.code).toBe(0)
    expect(verified.out).toMatch(/^Checked 40 records in \d+ segments: whole\.\n$/)
    expect((await run(['journal', 'verify', directory, '--json'])).json()).toMatchObject({
      records: 40,
      lastPosition: 40,
    })
  })

  it('is found by its own folder too, as error messages name it', async () => {
    expect(await run(['journal', 'verify', join(directory, 'journal')])).toMatchObject({ code: 0 })
  })

  it('needs no repair', async () => {
    expect(await run(['journal', 'repair', directory])).toMatchObject({
      code: 0,
      out: 'The journal is whole: there is nothing to repair.\n',
    })
  })

  it('is read beside the running application, which nobody may repair', async () => {
    const book = await openDaybook({ directory, store: memoryStore() })
    expect(await run(['journal', 'verify', directory])).toMatchObject({ code: 0 })
    expect(await run(['journal', 'repair', directory])).toMatchObject({ code: 3 })
    await book.close()
  })
})

describe('a damaged journal', () => {
  beforeEach(damage)

  it('is found, with the place and what helps', async () => {
    const verified = await run(['journal', 'verify', directory])
    expect(verified.code).toBe(1)
    expect(verified.out).toContain(`damaged in ${segments()[0]} at offset`)
    expect(verified.out).toContain(`daybook journal repair ${directory}`)
    expect(await run(['journal', 'inspect', directory, '--json'])).toMatchObject({ code: 1 })
  })

  it('is repaired only after someone has named the loss', async () => {
    const before = segments().map((file) => readFileSync(file))
    const plan = await run(['journal', 'repair', directory])
    expect(plan.code).toBe(1)
    const position = /--accept-loss-from (\d+)/.exec(plan.out)?.[1] ?? ''
    expect(Number(position)).toBeGreaterThan(1)
    const wrong = await run(['journal', 'repair', directory, '--accept-loss-from', '39'])
    expect(wrong.code).toBe(2)
    expect(segments().map((file) => readFileSync(file))).toEqual(before)

    const repaired = await run(['journal', 'repair', directory, '--accept-loss-from', position])
    expect(repaired).toMatchObject({ code: 0, err: '' })
    expect(repaired.out).toContain('kept: ')
    expect(await run(['journal', 'verify', directory])).toMatchObject({ code: 0 })
    const book = await openDaybook({ directory, store: memoryStore() })
    expect(await book.cache('values').get('key-0')).toMatchObject({ at: 0 })
    expect(await book.cache('values').get('key-39')).toBeUndefined()
    await book.close()
  })
})
