/** A text that a function of the host makes for Lua: it counts for the script's memory and time while it grows. */

import type { LuaMachine } from './machine.ts'

export class TextBuilder {
  text = ''
  #parts = 0
  readonly #machine: LuaMachine

  constructor(machine: LuaMachine) {
    this.#machine = machine
  }

  add(part: string): void {
    this.text += part
    this.#machine.worked(++this.#parts, this.text.length)
  }
}
