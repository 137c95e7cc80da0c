import { describe, expect, test } from 'vitest'
import { hashText } from '../../src/base/hash.ts'
import { openFileJournal } from '../../src/journal/file-journal.ts'
import { pageBytes } from '../../src/journal/format.ts'
import { repairJournal } from '../../src/journal/repair.ts'
import { inspectJournal, verifyJournal } from '../../src/journal/verify.ts'
import { entryHash } from '../../src/mutation/entry-hash.ts'
import type { Entry } from '../../src/mutation/mutation.ts'
import { directory, entryOf, JournalFixture, keysOf } from './journal-fixture.ts'

function hashed(key: string, lane = 0): Entry {
  const entry = entryOf(key, { bytes: 9_000, lane })
  return { ...entry, hash: entryHash(hashText(entry.cache), hashText(key)) }
}

/** A closed journal of 40 entries in several segments, on two lanes. */
async function closedJournal(): Promise<JournalFixture> {
  const fixture = new JournalFixture()
  const journal = await fixture.open()
  for (let index = 0; index < 40; index++) {
    await journal.append([hashed(`k${index}`, index % 2)]).done
  }
  await journal.close()
  return fixture
}

async function flip(fixture: JournalFixture, segment: number, offset: number): Promise<string> {
  const path = `${directory}/${(await fixture.segments())[segment]}`
  const content = fixture.files.contentOf(path)
  content[offset] = (content[offset] ?? 0) ^ 1
  fixture.files.place(path, content)
  return path
}

describe('verify and inspect', () => {
  test('report segments, positions, lanes and counts of a whole journal', async () => {
    const fixture = await closedJournal()
    for (const examine of [inspectJournal, verifyJournal]) {
      const report = await examine(directory, fixture.files)
      expect(report).toMatchObject({
        lanes: 4,
        records: 40,
        recordsByLane: [20, 20, 0, 0],
        oldestPosition: 1,
        lastPosition: 40,
        tornBytes: 0,
        damage: undefined,
        copies: [],
      })
      expect(report.segments.map(({ ordinal }) => ordinal)).toEqual(
        report.segments.map((_, index) => index + 1),
      )
      expect(report.segments[0]).toMatchObject({ base: 1, firstPosition: 1, bytes: 64 << 10 })
      expect(report.segments.reduce((sum, { records }) => sum + records, 0)).toBe(40)
      expect(report.segments.at(-1)?.seals).toBe(1)
    }
  })

  test('report an empty directory, and one that is not there', async () => {
    const fixture = new JournalFixture()
    await fixture.files.makeDirectory(directory)
    const report = await verifyJournal(directory, fixture.files)
    expect(report).toMatchObject({ journalId: undefined, records: 0, lastPosition: 0 })
    await expect(verifyJournal('/none', fixture.files)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('change nothing and need no lock', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await journal.append([hashed('a')]).done
    const files = fixture.files
    files.plan = ({ kind }) =>
      ['list', 'size', 'open', 'read', 'close'].includes(kind) ? undefined : { code: 'EPERM' }
    const report = await verifyJournal(directory, files)
    expect(report).toMatchObject({ records: 1, damage: undefined })
    files.plan = () => undefined
    await journal.close()
  })

  test('report a torn tail as such, and no damage', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await journal.append([hashed('a')]).done
    await journal.append([hashed('b')]).done
    fixture.files = fixture.files.kill()
    await flip(fixture, 0, 4 * pageBytes + 500)
    const report = await verifyJournal(directory, fixture.files)
    expect(report).toMatchObject({ records: 1, tornBytes: 3 * pageBytes, damage: undefined })
  })

  test.each([0, 2])('find the first damaged batch, in segment %i', async (segment) => {
    const fixture = await closedJournal()
    const file = await flip(fixture, segment, 4 * pageBytes + 500)
    await flip(fixture, segment + 1, 4 * pageBytes + 500)
    for (const examine of [inspectJournal, verifyJournal]) {
      const report = await examine(directory, fixture.files)
      expect(report.damage).toMatchObject({ file, offset: 4 * pageBytes })
      expect(report.segments).toHaveLength(segment + 1)
    }
  })

  test('find damage that a checksum cannot show', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await journal.append([{ ...hashed('a'), lane: 9 }]).done
    await journal.append([{ ...hashed('b'), hash: 1 }]).done
    await journal.close()
    const report = await verifyJournal(directory, fixture.files)
    expect(report.damage?.reason).toContain('a lane that does not exist')
    const second = new JournalFixture()
    const other = await second.open()
    await other.append([{ ...hashed('b'), hash: 1 }]).done
    await other.close()
    expect((await verifyJournal(directory, second.files)).damage?.reason).toContain('hash')
  })

  test('bear with a writer at work', async () => {
    const fixture = new JournalFixture()
    const { files, clock, random, listener } = fixture
    const journal = await openFileJournal(
      { directory, lanes: 4, segmentBytes: 64 << 10, maxBytes: 8 << 20, retainBytes: 0, listener },
      { files, clock, random, logger: { debug() {}, info() {}, warn() {}, error() {} } },
    )
    // Between any two steps of the reader the writer may have got further.
    let index = 0
    const writing = { busy: false }
    files.plan = async ({ kind }) => {
      if (kind !== 'read' || writing.busy) return undefined
      writing.busy = true
      if (index < 30) await journal.append([hashed(`k${index++}`)]).done
      if (index === 20) await journal.trim(10)
      writing.busy = false
      return undefined
    }
    const report = await verifyJournal(directory, files)
    expect(report.damage).toBeUndefined()
    files.plan = () => undefined
    await journal.close()
  })
})

describe('repair', () => {
  test('does nothing to a whole journal', async () => {
    const fixture = await closedJournal()
    const report = await repairJournal(directory, fixture.files, { acceptLossFrom: 3 })
    expect(report).toMatchObject({ damage: undefined, repaired: false })
  })

  test('only plans, until the first lost position is named', async () => {
    const fixture = await closedJournal()
    await flip(fixture, 1, 4 * pageBytes + 500)
    const before = fixture.files.fork()
    const plan = await repairJournal(directory, fixture.files)
    expect(plan).toMatchObject({ repaired: false, lastLost: 40 })
    expect(plan.lostRecords).toBe(40 - plan.firstLost + 1)
    await expect(
      repairJournal(directory, fixture.files, { acceptLossFrom: plan.firstLost + 1 }),
    ).rejects.toMatchObject({ code: 'INVALID_OPTION', details: { firstLost: plan.firstLost } })
    for (const name of await fixture.segments()) {
      const path = `${directory}/${name}`
      expect(fixture.files.contentOf(path)).toEqual(before.contentOf(path))
    }
  })

  test('cuts at the damage, keeps everything aside, and goes on beyond what was lost', async () => {
    const fixture = await closedJournal()
    await flip(fixture, 1, 4 * pageBytes + 500)
    const { firstLost } = await repairJournal(directory, fixture.files)
    const names = await fixture.segments()
    const originals = names.map((name) => fixture.files.contentOf(`${directory}/${name}`))
    const report = await repairJournal(directory, fixture.files, { acceptLossFrom: firstLost })
    expect(report.repaired).toBe(true)
    expect(await fixture.segments()).toEqual(names.slice(0, 2))
    expect(report.copies).toHaveLength(names.length - 1)
    for (const [index, name] of names.entries()) {
      if (index < 2) continue
      const copy = fixture.files.contentOf(`${directory}/damaged-${name}.bin`)
      expect(copy).toEqual(originals[index])
    }
    expect(fixture.files.contentOf(report.copies[0] ?? '')).toEqual(
      originals[1]?.slice(4 * pageBytes),
    )

    expect((await verifyJournal(directory, fixture.files)).damage).toBeUndefined()
    const journal = await fixture.open()
    expect(journal.lastPosition).toBe(40)
    const entry = hashed('new')
    await journal.append([entry]).done
    expect(entry.position).toBe(41)
    const keys = [...(await keysOf(journal)).keys()]
    expect(keys.every((position) => position < firstLost || position === 41)).toBe(true)
    await journal.close()
  })

  test('goes on without a segment that is missing', async () => {
    const fixture = await closedJournal()
    const names = await fixture.segments()
    await fixture.files.remove(`${directory}/${names[2]}`)
    const { firstLost } = await repairJournal(directory, fixture.files)
    expect(firstLost).toBe(Number(String(names[2]).slice(0, 20)))
    await repairJournal(directory, fixture.files, { acceptLossFrom: firstLost })
    const journal = await fixture.open()
    expect(journal.lastPosition).toBe(40)
    await journal.close()
  })

  test('goes on without a segment whose header is damaged', async () => {
    const fixture = await closedJournal()
    await flip(fixture, 2, 30)
    const { firstLost } = await repairJournal(directory, fixture.files)
    await repairJournal(directory, fixture.files, { acceptLossFrom: firstLost })
    expect(await fixture.segments()).toHaveLength(2)
    await (await fixture.open()).close()
  })

  test('refuses what it cannot cut away, and a journal that is open', async () => {
    const fixture = await closedJournal()
    await flip(fixture, 0, 30)
    await expect(repairJournal(directory, fixture.files)).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
    })
    const second = new JournalFixture()
    const journal = await second.open()
    await expect(repairJournal(directory, second.files)).rejects.toMatchObject({
      code: 'JOURNAL_LOCKED',
    })
    await journal.close()
  })
})
