/**
 * PostgreSQL's text form of arrays: `{1,NULL,"a \"b\""}`. Whole columns of a batch go to the server in it, so building one
 * is the hottest loop of a flush. Pure.
 */

/** An element that is a nested array, or the text of a value. */
export type ArrayElement = string | null | readonly ArrayElement[]

const needsEscape = /["\\]/
const escapable = /["\\]/g

/** `value` inside of an array, quoted. */
export function quoteElement(value: string): string {
  return needsEscape.test(value) ? `"${value.replace(escapable, '\\$&')}"` : `"${value}"`
}

/** The same of a JSON text. It has no control characters, so what JSON escapes in a string is what an array does. */
export function quoteJson(json: string): string {
  return JSON.stringify(json)
}

/**
 * One column of a batch. Values are the text of each element; quotes can be left away where the type's text never has
 * any of `{},"\`, blanks or NULL, as with numbers.
 */
export function arrayText(values: readonly (string | null)[], quoted: boolean): string {
  let text = '{'
  for (let index = 0; index < values.length; index++) {
    const value = values[index]
    if (index > 0) text += ','
    text += value === null || value === undefined ? 'NULL' : quoted ? quoteElement(value) : value
  }
  return text + '}'
}

/** A value of an array column, with nested arrays. */
export function nestedArrayText(elements: readonly ArrayElement[]): string {
  const texts = elements.map((element) => {
    if (element === null) return 'NULL'
    return typeof element === 'string' ? quoteElement(element) : nestedArrayText(element)
  })
  return `{${texts.join(',')}}`
}

/** The elements' text. Lower bounds other than 1 (`[0:1]={…}`) are not kept. Throws on what is no array's text. */
export function parseArrayText(text: string): ArrayElement[] {
  const start = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  const parser = new ArrayParser(text, start)
  return parser.array()
}

class ArrayParser {
  readonly #text: string
  #index: number

  constructor(text: string, index: number) {
    this.#text = text
    this.#index = index
  }

  array(): ArrayElement[] {
    this.#expect('{')
    const elements: ArrayElement[] = []
    if (this.#text[this.#index] === '}') {
      this.#index++
      return elements
    }
    for (;;) {
      elements.push(this.#element())
      const next = this.#text[this.#index++]
      if (next === '}') return elements
      if (next !== ',') throw new SyntaxError('malformed array text from PostgreSQL')
    }
  }

  #element(): ArrayElement {
    const first = this.#text[this.#index]
    if (first === '{') return this.array()
    return first === '"' ? this.#quoted() : this.#bare()
  }

  #quoted(): string {
    this.#expect('"')
    let value = ''
    for (;;) {
      const character = this.#text[this.#index++]
      if (character === undefined) throw new SyntaxError('unterminated array text from PostgreSQL')
      if (character === '"') return value
      value += character === '\\' ? (this.#text[this.#index++] ?? '') : character
    }
  }

  #bare(): string | null {
    const start = this.#index
    while (this.#index < this.#text.length && !/[,}]/.test(this.#text[this.#index] ?? '')) {
      this.#index++
    }
    const value = this.#text.slice(start, this.#index)
    return value === 'NULL' ? null : value
  }

  #expect(character: string): void {
    if (this.#text[this.#index++] !== character) {
      throw new SyntaxError('malformed array text from PostgreSQL')
    }
  }
}
