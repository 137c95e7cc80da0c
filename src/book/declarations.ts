/**
 * `caches.json`: which table each cache is bound to, so that what is pending can be flushed before the application has
 * declared its caches again, or without it.
 */

import { DaybookError, reasonOf } from '../base/errors.ts'
import { fileError } from '../base/file-error.ts'
import type { Files } from '../base/files.ts'
import type { AfterRejection, ResolvedCacheOptions } from './options.ts'
import { isMembers, parseState, writeState } from './state-file.ts'

export interface Declaration {
  readonly table: string | undefined
  readonly key: readonly string[]
  readonly columns: readonly string[] | undefined
  readonly rest: string | undefined
  readonly expire: 'evict' | 'delete'
  readonly rejection: Readonly<Record<'set' | 'delete' | 'merge' | 'increment', AfterRejection>>
}

const fileName = 'caches.json'
const maxFileBytes = 4 * 1024 * 1024

export class Declarations {
  readonly #files: Files
  readonly #directory: string
  readonly #caches: Map<string, Declaration>
  #turn: Promise<void> = Promise.resolve()

  private constructor(files: Files, directory: string, caches: Map<string, Declaration>) {
    this.#files = files
    this.#directory = directory
    this.#caches = caches
  }

  static async open(files: Files, directory: string): Promise<Declarations> {
    const path = `${directory}/${fileName}`
    const bytes = await files.read(path, maxFileBytes).catch((error: unknown) => {
      throw fileError(path, error)
    })
    if (bytes === undefined) return new Declarations(files, directory, new Map())
    try {
      const content = parseState(bytes)
      const { caches } = isMembers(content) ? content : {}
      if (!Array.isArray(caches) || !caches.every(isNamedDeclaration)) {
        throw new Error('it does not say which tables caches are bound to')
      }
      return new Declarations(files, directory, new Map(caches))
    } catch (error) {
      throw new DaybookError('JOURNAL_CORRUPT', `${path} cannot be read: ${reasonOf(error)}.`, {
        cause: error,
        details: { file: path },
        hint: 'Move it away; it is written anew when the application declares its caches.',
      })
    }
  }

  entries(): IterableIterator<[string, Declaration]> {
    return this.#caches.entries()
  }

  get(cache: string): Declaration | undefined {
    return this.#caches.get(cache)
  }

  /** Durable when it resolves. */
  async put(cache: string, options: ResolvedCacheOptions): Promise<void> {
    const { table, key, columns, rest, expire, rejection } = options
    const declaration: Declaration = { table, key, columns, rest, expire, rejection }
    if (JSON.stringify(this.#caches.get(cache)) === JSON.stringify(declaration)) return
    const before = this.#caches.get(cache)
    this.#caches.set(cache, declaration)
    const write = this.#turn.then(() => this.#write())
    this.#turn = write.catch(() => undefined)
    try {
      await write
    } catch (error) {
      // Not durable: the next declaration of it writes it again.
      if (before === undefined) this.#caches.delete(cache)
      else this.#caches.set(cache, before)
      const path = `${this.#directory}/${fileName}`
      throw new DaybookError(
        'DIRECTORY_UNUSABLE',
        `${path} cannot be written: ${reasonOf(error)}.`,
        {
          cause: error,
          details: { file: path },
          hint: 'Nothing was acknowledged; see to the disk and try again.',
        },
      )
    }
  }

  #write(): Promise<void> {
    return writeState(this.#files, this.#directory, fileName, { caches: [...this.#caches] })
  }
}

function isNamedDeclaration(value: unknown): value is [string, Declaration] {
  if (!Array.isArray(value) || value.length !== 2) return false
  const [cache, declaration] = value as readonly unknown[]
  return typeof cache === 'string' && isMembers(declaration) && isDeclaration(declaration)
}

function isDeclaration({
  table,
  key,
  columns,
  rest,
  expire,
  rejection,
}: Readonly<Record<string, unknown>>): boolean {
  return (
    (table === undefined || typeof table === 'string') &&
    areNames(key) &&
    (columns === undefined || areNames(columns)) &&
    (rest === undefined || typeof rest === 'string') &&
    (expire === 'evict' || expire === 'delete') &&
    isMembers(rejection) &&
    kinds.every((kind) => rejection[kind] === 'continue' || rejection[kind] === 'park')
  )
}

const kinds = ['set', 'delete', 'merge', 'increment'] as const

function areNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string')
}
