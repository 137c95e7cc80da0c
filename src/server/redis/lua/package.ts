/**
 * Lua 5.1 itself, compiled to WebAssembly: of the npm package `wasmoon-lua5.1`, and nothing of it but that one file. Its
 * JavaScript, which brings a file system and the host's environment, is not loaded.
 *
 * An optional peer: whoever sends no script needs it not.
 */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { DaybookError, reasonOf } from '../../../base/errors.ts'
import { interruptible } from './interruptible.ts'
import { WebAssembly, type WasmModule } from './web-assembly.ts'

const file = 'wasmoon-lua5.1/dist/liblua5.1.wasm'
/** The import that is asked whether to go on. Emscripten's C library would ask it for its clocks, which nothing uses. */
export const tickImport = '_emscripten_get_now_is_monotonic'

let compiled: WasmModule | undefined

/** Some tens of milliseconds, once in a process. Throws INVALID_OPTION where the package is not installed. */
export function luaModule(): WasmModule {
  compiled ??= compile(readLua)
  return compiled
}

export function compile(read: () => Uint8Array): WasmModule {
  let bytes: Uint8Array
  try {
    bytes = read()
  } catch (cause) {
    throw new DaybookError(
      'INVALID_OPTION',
      `Lua scripts need the package wasmoon-lua5.1, and it cannot be loaded: ${reasonOf(cause)}.`,
      { cause, hint: 'Install it beside daybook: npm install wasmoon-lua5.1@1.18.10' },
    )
  }
  return new WebAssembly.Module(interruptible(bytes, tickImport))
}

function readLua(): Uint8Array {
  return readFileSync(createRequire(import.meta.url).resolve(file))
}
