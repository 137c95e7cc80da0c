/** WebAssembly as far as it is used here: its declarations come with those of browsers, which this project does not load. */

/** Compiled code. */
export interface WasmModule {
  readonly compiled: unique symbol
}

export interface WasmMemory {
  /** Another one after each growth. */
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

/** Functions that code calls by their index. */
export interface WasmTable {
  get(index: number): unknown
  set(index: number, func: unknown): void
  /** Returns how many there were. */
  grow(functions: number): number
}

export type WasmImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>

interface WebAssemblyNamespace {
  readonly Module: {
    new (bytes: Uint8Array): WasmModule
    imports(module: WasmModule): readonly { readonly module: string; readonly name: string }[]
  }
  readonly Instance: new (
    module: WasmModule,
    imports: WasmImports,
  ) => { readonly exports: Readonly<Record<string, unknown>> }
}

export const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyNamespace }
