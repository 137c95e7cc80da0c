/** docs/planted-bugs.md, from the bugs and what caught them. */

import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { maxSeeds, type Hunt } from './hunt.ts'

export const plantedBugsPath = fileURLToPath(new URL('../../docs/planted-bugs.md', import.meta.url))

export async function plantedBugsPage(hunts: readonly Hunt[]): Promise<string> {
  const rows = hunts.map(({ bug, caught }) => {
    const seed = `${caught?.seed ?? 'none'}${bug.grade === 'sqlite' ? ' (sqlite)' : ''}`
    return `| \`${bug.name}\` | ${bug.why} | \`${bug.file}\` | ${seed} | ${caught?.checker ?? ''} |`
  })
  const text = `# Planted bugs

A checker that cannot fail proves nothing. So ${hunts.length} known mistakes can each be put into the engine, and the simulation must
catch every one of them within ${maxSeeds} seeds, while the engine without it passes the same seeds.

\`\`\`sh
npm run simulate:planted                                 # all of them
npm run simulate:planted -- --bug ack-before-sync        # one
npm run simulate:planted -- --write                      # writes this page
\`\`\`

A bug changes the source text of one file of \`src\` as it is loaded, in a thread of its own: there is no hook for it in the
engine, and none in the package. \`simulation/planted/bugs.ts\` has the changes. The seed is the first one that catches the bug; seeds
are not chosen for the bugs, and move when the engine or the simulation changes.

| Bug | What it is | File | Seed | Caught by the checker |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`
  return format(text, { ...(await resolveConfig(plantedBugsPath)), parser: 'markdown' })
}
