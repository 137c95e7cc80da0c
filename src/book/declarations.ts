/**
 * `caches.json`: which table each cache is bound to, so that what is pending can be flushed before the application has
 * declared its caches again, or without it.
 */

import { DaybookError, reasonOf } from '../base/errors.ts'
import type { Files } from '../base/files.ts'
import type { AfterRejection, ResolvedCacheOptions } from './options.ts'

export interface Declaration {
  readonly table: string | undefined
  readonly key: readonly string[]
  readonly columns: readonly string[] | undefined
  readonly rest: string | undefined
  readonly expire: 'evict' | 'delete'
  readonly rejection: Readonly<Record<'set' | 'delete' | 'merge' | 'increment', AfterRejection>>
}

const maxFileBytes = 4 * 1024 * 1024
const version = 1

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
    const path = `${directory}/caches.json`
    const bytes = await files.read(path, maxFileBytes)
    if (bytes === undefined) return new Declarations(files, directory, new Map())
    try {
      const content = JSON.parse(Buffer.from(bytes).toString('utf8')) as {
        version: number
        caches: [string, Declaration][]
      }
      if (content.version !== version) throw new Error(`its version is ${content.version}`)
      return new Declarations(files, directory, new Map(content.caches))
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
      const path = `${this.#directory}/caches.json`
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

  async #write(): Promise<void> {
    const path = `${this.#directory}/caches.json`
    const temporary = `${path}.new`
    const text = JSON.stringify({ version, caches: [...this.#caches] }, undefined, 2)
    await this.#files.remove(temporary)
    const file = await this.#files.open(temporary, 'create')
    try {
      await file.writeDurably(Buffer.from(text), 0)
    } finally {
      await file.close()
    }
    await this.#files.rename(temporary, path)
    await this.#files.syncDirectory(this.#directory)
  }
}
