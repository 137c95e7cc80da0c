import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/log.ts'
import { nodeFiles } from '../../src/base/node-files.ts'
import type { Ports } from '../../src/base/ports.ts'
import { systemRandom } from '../../src/base/random.ts'
import { openFileJournal } from '../../src/journal/file-journal.ts'
import { journalSuite, type SuiteJournalHome } from '../../src/testing/journal-suite.ts'
import { MemoryFiles } from '../../src/testing/memory-files.ts'
import { seededRandom } from './journal-fixture.ts'

function homeIn(directory: string, ports: Ports, close: () => void): SuiteJournalHome {
  return {
    open: (listener) => openFileJournal({ directory, lanes: 3, listener }, ports),
    close: async () => close(),
  }
}

journalSuite(
  'files on disk',
  { describe, test },
  {
    create: async () => {
      const root = mkdtempSync(join(tmpdir(), 'daybook-journal-'))
      const ports = {
        files: nodeFiles,
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
      }
      return homeIn(join(root, 'journal'), ports, () => rmSync(root, { recursive: true }))
    },
  },
)

journalSuite(
  'files in memory',
  { describe, test },
  {
    create: async () => {
      const ports = {
        files: new MemoryFiles(),
        clock: systemClock,
        random: seededRandom(1),
        logger: silentLogger,
      }
      return homeIn('/data/journal', ports, () => undefined)
    },
  },
)
