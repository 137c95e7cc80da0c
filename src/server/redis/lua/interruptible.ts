/**
 * Rewrites a WebAssembly module so that what runs in it can be stopped anywhere.
 *
 * Lua's own count hook is asked between two instructions of a script. It is not asked within one call of a function of C,
 * and some of those take for ever: a pattern that backtracks, a sort that compares badly, `string.rep('', 1e15)`. So a
 * counter goes to each place that everything endless passes: the beginning of each loop, and of each function that calls
 * others.
 *
 *     global.get fuel │ i32.const 1 │ i32.sub │ global.set fuel
 *     global.get fuel │ i32.eqz │ if │ call tick │ drop │ end
 *
 * `tick` is a function that the module imports already, so that no index changes; the host says on each call how much fuel
 * there is next, or throws. The counter is a global of the module, and exported as `fuel`. Its price is about a nanosecond
 * for each loop.
 *
 * The format is that of the WebAssembly core specification 2.0, section 5. Instructions beyond those of Emscripten's
 * default are refused.
 */

import { reasonOf } from '../../../base/errors.ts'

const magicBytes = 8
const section = { type: 1, import: 2, global: 6, export: 7, code: 10 } as const
const i32 = 0x7f
const mutable = 1
const maxUsualBody = 16_384
const kind = { function: 0, global: 3 } as const

/** The module with its counters. `tick` names an import of the type () → i32. */
export function interruptible(module: Uint8Array, tick: string): Uint8Array<ArrayBuffer> {
  try {
    return rewritten(module, tick)
  } catch (error) {
    throw new Error(`This WebAssembly module cannot be made interruptible: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

function rewritten(module: Uint8Array, tick: string): Uint8Array<ArrayBuffer> {
  const reader = new Reader(module, magicBytes)
  const out = new Writer(module.length)
  out.add(module.subarray(0, magicBytes))
  let tickIndex = -1
  let fuel = -1
  while (!reader.isAtEnd) {
    const id = reader.byte()
    const body = reader.part(reader.unsigned())
    const written = new Writer(body.length)
    if (id === section.global) {
      const globals = new Reader(body)
      fuel = globals.unsigned()
      written.add(unsigned(fuel + 1))
      written.add(globals.rest())
      written.add([i32, mutable, opcode.i32Const, 1, opcode.end])
    } else if (id === section.export) {
      const exports = new Reader(body)
      written.add(unsigned(exports.unsigned() + 1))
      written.add(exports.rest())
      const name = Buffer.from('fuel')
      written.add([name.length, ...name, kind.global, ...unsigned(fuel)])
    } else if (id === section.code) {
      if (tickIndex < 0 || fuel < 0) throw new Error('it has no globals')
      writeCode(new Reader(body), counter(fuel, tickIndex), written)
    } else {
      if (id === section.import) tickIndex = importIndex(new Reader(body), tick)
      written.add(body)
    }
    out.add([id, ...unsigned(written.length)])
    out.add(written.bytes)
  }
  return out.bytes
}

function importIndex(imports: Reader, wanted: string): number {
  let index = 0
  for (let left = imports.unsigned(); left > 0; left--) {
    imports.part(imports.unsigned())
    const name = Buffer.from(imports.part(imports.unsigned())).toString()
    if (imports.byte() !== kind.function) throw new Error('it imports more than functions')
    imports.unsigned()
    if (name === wanted) return index
    index++
  }
  throw new Error(`it does not import ${wanted}`)
}

function counter(fuel: number, tick: number): Uint8Array {
  const get = [opcode.globalGet, ...unsigned(fuel)]
  const less = [...get, opcode.i32Const, 1, opcode.i32Sub, opcode.globalSet, ...unsigned(fuel)]
  const check = [...get, opcode.i32Eqz, opcode.if, blockOfNothing]
  const ask = [opcode.call, ...unsigned(tick), opcode.drop, opcode.end]
  return Uint8Array.from([...less, ...check, ...ask])
}

function writeCode(code: Reader, counter: Uint8Array, out: Writer): void {
  const count = code.unsigned()
  out.add(unsigned(count))
  const body = new Writer(maxUsualBody)
  for (let left = count; left > 0; left--) {
    body.clear()
    writeFunction(new Reader(code.part(code.unsigned())), counter, body)
    out.add(unsigned(body.length))
    out.add(body.bytes)
  }
}

/** A function that calls none counts in its loops only: it ends, and is called by one that counts. */
function writeFunction(body: Reader, counter: Uint8Array, out: Writer): void {
  for (let groups = body.unsigned(); groups > 0; groups--) {
    body.unsigned()
    body.byte()
  }
  out.add(body.from(0))
  const start = body.at
  const loops: number[] = []
  let calls = false
  while (!body.isAtEnd) {
    const code = body.byte()
    skipImmediates(body, code)
    if (code === opcode.loop) loops.push(body.at)
    calls ||= code === opcode.call || code === opcode.callIndirect
  }
  if (calls) out.add(counter)
  let copied = start
  for (const at of loops) {
    out.add(body.between(copied, at))
    out.add(counter)
    copied = at
  }
  out.add(body.from(copied))
}

const blockOfNothing = 0x40
const opcode = {
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  brTable: 0x0e,
  call: 0x10,
  callIndirect: 0x11,
  drop: 0x1a,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  i32Eqz: 0x45,
  i32Sub: 0x6b,
  bulk: 0xfc,
} as const

/** After the prefix 0xfc: what follows each, as so many numbers. */
const bulkImmediates: Readonly<Record<number, number>> = {
  ...Object.fromEntries(Array.from({ length: 8 }, (_, at) => [at, 0])),
  // memory.copy, memory.fill
  10: 2,
  11: 1,
}

function skipImmediates(body: Reader, code: number): void {
  // block, loop, if: a type
  if (code >= 0x02 && code <= 0x04) body.signed()
  // br, br_if, call
  else if (code === 0x0c || code === 0x0d || code === opcode.call) body.unsigned()
  else if (code === opcode.brTable) {
    for (let left = body.unsigned(); left >= 0; left--) body.unsigned()
  } else if (code === opcode.callIndirect) {
    body.unsigned()
    body.unsigned()
  }
  // local.*, global.*
  else if (code >= 0x20 && code <= 0x24) body.unsigned()
  // loads and stores: alignment and offset
  else if (code >= 0x28 && code <= 0x3e) {
    body.unsigned()
    body.unsigned()
  }
  // memory.size, memory.grow
  else if (code === 0x3f || code === 0x40) body.unsigned()
  else if (code === opcode.i32Const || code === opcode.i64Const) body.signed()
  else if (code === opcode.f32Const) body.part(4)
  else if (code === opcode.f64Const) body.part(8)
  else if (code === opcode.bulk) {
    const which = body.unsigned()
    const count = bulkImmediates[which]
    if (count === undefined) throw new Error(`it has the instruction 0xfc ${which}`)
    for (let left = count; left > 0; left--) body.unsigned()
  } else if (!isWithoutImmediates(code))
    throw new Error(`it has the instruction 0x${code.toString(16)}`)
}

/** Control, parametric and numeric instructions that are one byte. */
function isWithoutImmediates(code: number): boolean {
  const isControl = code <= 0x01 || code === 0x05 || code === opcode.end || code === 0x0f
  const isParametric = code === opcode.drop || code === 0x1b
  return isControl || isParametric || (code >= 0x45 && code <= 0xc4)
}

class Reader {
  at: number
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.at = at
  }

  get isAtEnd(): boolean {
    return this.at === this.#bytes.length
  }

  byte(): number {
    const byte = this.#bytes[this.at++]
    if (byte === undefined) throw new Error('it ends in the middle')
    return byte
  }

  part(length: number): Uint8Array {
    if (this.at + length > this.#bytes.length) throw new Error('it ends in the middle')
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }

  rest(): Uint8Array {
    return this.part(this.#bytes.length - this.at)
  }

  between(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(start, end)
  }

  /** What was read since. */
  from(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.at)
  }

  /** LEB128, of at most 32 bits. */
  unsigned(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }

  /** LEB128 of any length; its value does not matter here. */
  signed(): void {
    while (this.byte() >= 0x80);
  }
}

/** Bytes, of which there may be ever more. */
class Writer {
  length = 0
  #all: Uint8Array<ArrayBuffer>

  constructor(capacity: number) {
    this.#all = new Uint8Array(Math.max(capacity, 64))
  }

  /** Until more is added. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#all.subarray(0, this.length)
  }

  add(bytes: ArrayLike<number>): void {
    const length = this.length + bytes.length
    if (length > this.#all.length) {
      const larger = new Uint8Array(2 * length)
      larger.set(this.bytes)
      this.#all = larger
    }
    this.#all.set(bytes, this.length)
    this.length = length
  }

  clear(): void {
    this.length = 0
  }
}

function unsigned(value: number): number[] {
  const bytes: number[] = []
  let left = value
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80)
  bytes.push(left)
  return bytes
}
