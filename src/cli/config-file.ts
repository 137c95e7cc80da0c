/** The configuration of `daybook serve`: a file, environment variables over it, and flags over those. */

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DaybookError, reasonOf } from '../base/errors.ts'

/** What is laid over the file, by the path of the option: `redis.port`. */
export type Overrides = readonly (readonly [path: string, value: unknown])[]

/** JSON, or a module that exports `config` (or has it as its default export). */
export async function readConfigFile(path: string): Promise<object> {
  const config = /\.[cm]?[jt]s$/.test(path) ? await fromModule(path) : await fromJson(path)
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) return config
  throw unreadable(path, 'it holds no object')
}

async function fromJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown
  } catch (error) {
    throw unreadable(path, reasonOf(error), error)
  }
}

async function fromModule(path: string): Promise<unknown> {
  let loaded: { readonly default?: unknown; readonly config?: unknown }
  try {
    // A new name each time: a module that was loaded once would not be read again.
    const url = `${pathToFileURL(resolve(path)).href}?at=${process.hrtime.bigint()}`
    loaded = (await import(url)) as typeof loaded
  } catch (error) {
    throw unreadable(path, reasonOf(error), error)
  }
  return loaded.config ?? loaded.default
}

function unreadable(path: string, reason: string, cause?: unknown): DaybookError {
  return new DaybookError(
    'INVALID_OPTION',
    `The configuration ${path} cannot be used: ${reason}.`,
    {
      ...(cause === undefined ? {} : { cause }),
      details: { file: path },
      hint: 'It is JSON, or a .js or .ts module that exports `config`.',
    },
  )
}

/** A copy of the configuration with each override at its path. */
export function laidOver(config: object, overrides: Overrides): object {
  const result: Record<string, unknown> = { ...config }
  for (const [path, value] of overrides) {
    if (value === undefined) continue
    const [group = '', name] = path.split('.')
    if (name === undefined) result[group] = value
    else result[group] = { ...(result[group] as object | undefined), [name]: value }
  }
  return result
}

/** Of the environment, in the names of `daybook serve --help`. */
export function environmentOverrides(
  environment: Readonly<Record<string, string | undefined>>,
): Overrides {
  const numbers = new Set(['redis.port', 'http.port', 'drainTimeoutMs'])
  return environmentNames.flatMap(([name, path]): Overrides => {
    const text = environment[name]
    if (text === undefined || text === '') return []
    return [[path, numbers.has(path) && /^\d+$/.test(text) ? Number(text) : text]]
  })
}

export const environmentNames = [
  ['DAYBOOK_DIRECTORY', 'directory'],
  ['DAYBOOK_STORE', 'store'],
  ['DAYBOOK_REDIS_HOST', 'redis.host'],
  ['DAYBOOK_REDIS_PORT', 'redis.port'],
  ['DAYBOOK_REDIS_PASSWORD', 'redis.password'],
  ['DAYBOOK_HTTP_HOST', 'http.host'],
  ['DAYBOOK_HTTP_PORT', 'http.port'],
  ['DAYBOOK_HTTP_TOKEN', 'http.token'],
  ['DAYBOOK_DRAIN_TIMEOUT_MS', 'drainTimeoutMs'],
] as const
