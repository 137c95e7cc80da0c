/**
 * Puts a known mistake into the engine as it is loaded: the source text of one file of `src` is changed on its way from the
 * disk to the compiler. The engine has no hook for it, and nothing on the disk changes.
 */

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import type { Checker } from '../oracle/violation.ts'

/** One place of a file. */
export interface Edit {
  /** Stands in the file exactly once, so that a mistake whose place is gone is noticed. */
  readonly find: string
  readonly replace: string
}

export interface PlantedBug {
  readonly name: string
  /** From the project's root. */
  readonly file: string
  readonly edits: readonly Edit[]
  /** What a tired engineer did, and what it breaks. */
  readonly why: string
  /** Who may find it: another one is a planting that went wrong, or a checker that says too little. */
  readonly checkers: readonly Checker[]
  /** Where the mistake is in a database of its own, the grade that has it. Default: memory. */
  readonly grade?: 'memory' | 'sqlite'
}

const root = new URL('../../', import.meta.url)

/** From now on whoever loads the file gets it with the mistake. Call before anything has loaded it. */
export function plant(bug: PlantedBug): void {
  const url = new URL(bug.file, root).href
  registerHooks({
    load: (loading, context, nextLoad) => {
      const loaded = nextLoad(loading, context)
      return loading === url ? { ...loaded, source: planted(bug) } : loaded
    },
  })
}

/** The file's text with the mistake. Throws where an edit's place is missing, or is not one place. */
export function planted({ name, file, edits }: PlantedBug): string {
  let text = readFileSync(new URL(file, root), 'utf8')
  for (const { find, replace } of edits) {
    const places = text.split(find).length - 1
    if (places !== 1) {
      throw new Error(
        `${name}: ${JSON.stringify(find)} stands ${places} times in ${file}, not once`,
      )
    }
    text = text.replace(find, () => replace)
  }
  return text
}
