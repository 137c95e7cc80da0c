/** Targets: the dead letters' file, and the small files of state. */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isDaybookError } from '../../src/base/errors.ts'
import { Declarations } from '../../src/book/declarations.ts'
import { withLocalCheckpoints } from '../../src/book/local-checkpoints.ts'
import { readCacheOptions } from '../../src/book/options.ts'
import type { DeadLetter } from '../../src/flush/dead-letter.ts'
import { DeadLetters } from '../../src/flush/dead-letters.ts'
import { customStore } from '../../src/store/custom-store.ts'
import { MemoryFiles } from '../../src/testing/memory-files.ts'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { anyDamage, damaged } from '../damage.ts'
import { fuzzTarget } from '../fuzz-target.ts'
import { hostileText, letterAt } from '../values.ts'

const home = '/book'
const call = { signal: new AbortController().signal }

// ── Dead letters ──

const lettersPath = `${home}/dead-letters.log`

type Step =
  | { readonly kind: 'add'; readonly letters: readonly DeadLetter[] }
  | { readonly kind: 'settle' | 'supersede'; readonly letter: number }

/** Each position once. */
const history: fc.Arbitrary<Step[]> = fc
  .array(
    fc.oneof(
      fc.record({ kind: fc.constant('add' as const), count: fc.integer({ min: 1, max: 3 }) }),
      fc.record({
        kind: fc.constantFrom('settle' as const, 'supersede' as const),
        letter: fc.nat(9),
      }),
    ),
    { minLength: 2, maxLength: 6 },
  )
  .chain((steps) => {
    let position = 0
    return fc.tuple(
      ...steps.map((step): fc.Arbitrary<Step> => {
        if (step.kind !== 'add') return fc.constant(step)
        const letters = Array.from({ length: step.count }, () => letterAt(++position))
        return fc.record({ kind: fc.constant('add'), letters: fc.tuple(...letters) })
      }),
    )
  })

type LineDamage =
  | { readonly kind: 'remove line' | 'double line'; readonly line: number }
  | { readonly kind: 'move line'; readonly line: number; readonly to: number }

const lineDamage: fc.Arbitrary<LineDamage> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('remove line' as const, 'double line' as const),
    line: fc.nat(9),
  }),
  fc.record({ kind: fc.constant('move line' as const), line: fc.nat(9), to: fc.nat(9) }),
)

const damagedLetters = fc.record({
  history,
  damages: fc.array(fc.oneof(anyDamage, lineDamage), { minLength: 1, maxLength: 2 }),
})

export const deadLettersTarget = fuzzTarget(damagedLetters, {
  name: 'dead-letters',
  doc: 'A damaged file of dead letters has all of them, or is refused; only what lacks a seal is cut.',
  cases: 500,
  outcomes: ['identical', 'cut', 'refused'],
  check: async (given) => {
    const files = new MemoryFiles()
    await files.makeDirectory(home)
    /** What there is after each line. */
    const states = await lettersAfterEachLine(files, given.history)
    const whole = files.contentOf(lettersPath)
    const bytes = given.damages.reduce<Uint8Array>(
      (content, damage) =>
        damage.kind.endsWith('line')
          ? movedLines(content, damage as LineDamage)
          : damaged(content, damage as Parameters<typeof damaged>[1]),
      whole,
    )
    files.place(lettersPath, bytes)
    let letters: DeadLetters
    try {
      letters = await openLetters(files)
    } catch (error) {
      checkRefusal(error)
      const same = Buffer.compare(files.contentOf(lettersPath), bytes) === 0
      assert.ok(same, 'a refused open changed the file')
      return 'refused'
    }
    const found = await allOf(letters)
    const lines = countLines(files.contentOf(lettersPath))
    await letters.close()
    assert.deepStrictEqual(found, states.get(lines), 'the letters are those of the lines')
    if (Buffer.compare(files.contentOf(lettersPath), whole) === 0) return 'identical'
    // Nothing whole stood behind the place: where the file ends now, the damaged one had no further line of the whole one.
    const kept = splitLines(files.contentOf(lettersPath))
      .slice(0, -1)
      .reduce((sum, line) => sum + line.length, 0)
    assert.ok(Buffer.compare(bytes.subarray(0, kept), whole.subarray(0, kept)) === 0, 'a prefix')
    return 'cut'
  },
})

async function lettersAfterEachLine(
  files: MemoryFiles,
  steps: readonly Step[],
): Promise<Map<number, DeadLetter[]>> {
  const letters = await openLetters(files)
  const states = new Map<number, DeadLetter[]>()
  const note = async (): Promise<void> => {
    states.set(countLines(files.contentOf(lettersPath)), await allOf(letters))
  }
  await note()
  for (const step of steps) {
    if (step.kind === 'add') await letters.add(step.letters)
    else if (step.kind === 'settle') await letters.settle([`0-${step.letter}`], 'discarded')
    else await letters.supersede([`0-${step.letter}`])
    await note()
  }
  await letters.close()
  return states
}

function openLetters(files: MemoryFiles): Promise<DeadLetters> {
  return DeadLetters.open({ files, path: lettersPath, clock: new ManualClock() })
}

async function allOf(letters: DeadLetters): Promise<DeadLetter[]> {
  const { letters: found } = await letters.list({}, { limit: 1_000 })
  for (const letter of found) {
    assert.deepStrictEqual(await letters.get(letter.id), letter, 'get and list give the same')
  }
  return found
}

function splitLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = []
  let start = 0
  for (let end; (end = bytes.indexOf(0x0a, start) + 1) > 0; start = end) {
    lines.push(bytes.subarray(start, end))
  }
  if (start < bytes.length) lines.push(bytes.subarray(start))
  return lines
}

function countLines(bytes: Uint8Array): number {
  return splitLines(bytes).length
}

function movedLines(bytes: Uint8Array, damage: LineDamage): Uint8Array {
  const lines = splitLines(bytes)
  const at = damage.line % Math.max(1, lines.length)
  const [line] = damage.kind === 'double line' ? lines.slice(at, at + 1) : lines.splice(at, 1)
  if (line === undefined || damage.kind === 'remove line') return Buffer.concat(lines)
  const to = damage.kind === 'move line' ? damage.to % (lines.length + 1) : at
  return Buffer.concat(lines.toSpliced(to, 0, line))
}

// ── Small files of state ──

export const cachesFileTarget = fuzzTarget(
  fc.record({
    caches: fc.array(fc.record({ name: hostileText, table: fc.option(hostileText) }), {
      maxLength: 3,
    }),
    damages: fc.array(anyDamage, { minLength: 1, maxLength: 2 }),
  }),
  {
    name: 'caches-file',
    doc: 'A damaged caches.json binds every cache to its table, or is refused.',
    cases: 1_000,
    outcomes: ['identical', 'refused'],
    check: async ({ caches, damages }) => {
      const files = new MemoryFiles()
      await files.makeDirectory(home)
      const declarations = await Declarations.open(files, home)
      for (const { name, table } of caches) {
        const options = readCacheOptions('c', table ? { table, key: ['id', table] } : {})
        await declarations.put(name, options)
      }
      // An empty one has no file yet.
      if (caches.length === 0) await declarations.put('c', readCacheOptions('c', {}))
      return damagedState(files, `${home}/caches.json`, damages, async () =>
        JSON.stringify([...(await Declarations.open(files, home)).entries()]),
      )
    },
  },
)

export const checkpointsFileTarget = fuzzTarget(
  fc.record({
    positions: fc.array(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { minLength: 1, maxLength: 4 }),
    damages: fc.array(anyDamage, { minLength: 1, maxLength: 2 }),
  }),
  {
    name: 'checkpoints-file',
    doc: 'A damaged checkpoints.json gives the checkpoints that were written, or is refused.',
    cases: 1_000,
    outcomes: ['identical', 'refused'],
    check: async ({ positions, damages }) => {
      const files = new MemoryFiles()
      await files.makeDirectory(home)
      const claim = { journal: 'j', lanes: positions.length, epoch: 1 }
      const open = () => {
        const inner = customStore({
          name: 'none',
          write: async () => undefined,
          load: async () => new Map(),
        })
        return withLocalCheckpoints(inner, files, home)
      }
      const store = open()
      await store.open(claim, call)
      for (const [lane, position] of positions.entries()) {
        const transaction = await store.begin(lane, { careful: false }, call)
        await transaction.commit(position)
      }
      return damagedState(files, `${home}/checkpoints.json`, damages, async () =>
        JSON.stringify((await open().open(claim, call)).positions),
      )
    },
  },
)

/** Reads the file, damages it, and reads it again. */
async function damagedState(
  files: MemoryFiles,
  path: string,
  damages: readonly Parameters<typeof damaged>[1][],
  read: () => Promise<string>,
): Promise<string> {
  const before = await read()
  const bytes = damages.reduce(damaged, files.contentOf(path))
  files.place(path, bytes)
  try {
    assert.equal(await read(), before, 'what is read is what was written')
    return 'identical'
  } catch (error) {
    checkRefusal(error)
    assert.ok(Buffer.compare(files.contentOf(path), bytes) === 0, 'a refusal changed the file')
    return 'refused'
  }
}

const refusals = ['JOURNAL_CORRUPT', 'JOURNAL_FOREIGN', 'JOURNAL_VERSION', 'DIRECTORY_UNUSABLE']

function checkRefusal(error: unknown): void {
  if (!isDaybookError(error) || !refusals.includes(error.code)) throw error
  assert.equal(typeof error.details.file, 'string', 'a refusal names the file')
}
