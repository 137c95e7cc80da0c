/** All that is gone through. */

import { explore, type Exploration, type Scope } from './explore.ts'
import { histories } from './histories.ts'
import { letterFile } from './letter-file.ts'

export interface NamedExploration {
  readonly name: string
  readonly about: string
  explore(scope?: Scope): Promise<Exploration>
}

export const explorations: readonly NamedExploration[] = [
  ...histories.map((history) => ({
    name: history.name,
    about: history.about,
    explore: (scope?: Scope) => explore(history, scope),
  })),
  letterFile,
]
