/** The audit log by itself: bounded, durable, and never in the way of what mends things. */

import { describe, expect, it } from 'vitest'
import { silentLogger, type Logger } from '../../../src/base/log.ts'
import { LineLog } from '../../../src/flush/line-log.ts'
import { AuditLog } from '../../../src/server/http/audit-log.ts'
import { FakeDisk, fileError } from '../../support/fake-disk.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const entry = { action: 'POST /api/pause', by: 'token', address: '127.0.0.1', details: {} } as const
const codeOf = (): string => 'FAILED'

function open(disk: FakeDisk, logger: Logger = silentLogger): Promise<AuditLog> {
  return AuditLog.open('/data', { files: disk, clock: new ManualClock(), logger })
}

describe('the audit log', () => {
  it('has an action before it begins, and its outcome when it has ended', async () => {
    const disk = new FakeDisk()
    const audit = await open(disk)
    const going = Promise.withResolvers<undefined>()
    const done = audit.around(entry, () => going.promise, codeOf)
    await expect.poll(() => disk.contents('/data/audit.log').length).toBeGreaterThan(100)
    expect(audit.newest(10)).toMatchObject([{ id: 1, outcome: undefined }])
    going.resolve(undefined)
    await done
    expect(audit.newest(10)).toMatchObject([{ id: 1, outcome: 'done' }])
  })

  it('has the code of what failed, and the caller gets the error', async () => {
    const audit = await open(new FakeDisk())
    const failing = audit.around(entry, () => Promise.reject(new Error('no')), codeOf)
    await expect(failing).rejects.toThrow('no')
    expect(audit.newest(1)).toMatchObject([{ outcome: 'FAILED' }])
  })

  it('is read back at the next start, and its numbers go on', async () => {
    const disk = new FakeDisk()
    const before = await open(disk)
    for (let at = 0; at < 3; at++) await before.around(entry, async () => at, codeOf)
    await before.close()
    const audit = await open(disk)
    await audit.around(entry, async () => undefined, codeOf)
    expect(audit.newest(2).map(({ id }) => id)).toEqual([4, 3])
  })

  it('stays within its bytes, and keeps the newest', async () => {
    const disk = new FakeDisk()
    const audit = await open(disk)
    const details = { ids: Array.from({ length: 100 }, (_, at) => `0-${at}`) }
    for (let at = 0; at < 1_500; at++) {
      await audit.around({ ...entry, details }, async () => undefined, codeOf)
    }
    expect(disk.contents('/data/audit.log').length).toBeLessThan(1_100_000)
    await audit.close()
    const again = await open(disk)
    expect(again.newest(1)).toMatchObject([{ id: 1_500, outcome: 'done' }])
    expect(again.newest(5_000).length).toBeGreaterThan(200)
  })

  it('cuts details that are long', async () => {
    const audit = await open(new FakeDisk())
    const details = { ids: Array.from({ length: 10_000 }, (_, at) => `0-${at}`) }
    await audit.around({ ...entry, details }, async () => undefined, codeOf)
    const [noted] = audit.newest(1)
    expect(JSON.stringify(noted?.details).length).toBeLessThan(2_700)
  })

  it('that cannot be written is no reason not to do what was asked for, and is reported', async () => {
    const disk = new FakeDisk()
    const warnings: string[] = []
    const audit = await open(disk, { ...silentLogger, warn: (_, text) => warnings.push(text) })
    disk.fault = (operation) => {
      if (operation === 'writeDurably') throw fileError('ENOSPC', 'write')
    }
    expect(await audit.around(entry, async () => 'done all the same', codeOf)).toBe(
      'done all the same',
    )
    // Before it, and its outcome.
    expect(warnings).toEqual(Array(2).fill('the audit log could not be written'))
  })

  it('refuses a file that is something else', async () => {
    const disk = new FakeDisk()
    const log = await LineLog.open(disk, '/data/audit.log', '{"daybook":"other"}', () => undefined)
    await log.close()
    await expect(open(disk)).rejects.toMatchObject({ code: 'JOURNAL_FOREIGN' })
  })
})
