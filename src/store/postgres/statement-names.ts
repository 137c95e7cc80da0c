/** Names for statements, so that the server parses the text of a shape once per connection. */

import type { Statement } from './connection.ts'
import type { StatementText } from './table-statements.ts'

/** Each connection keeps all of them: beyond this many shapes, statements are parsed each time. */
const maxNames = 256

export class StatementNames {
  readonly #names = new Map<string, string>()

  named({ text, values }: StatementText): Statement {
    let name = this.#names.get(text)
    if (name === undefined && this.#names.size < maxNames) {
      name = `daybook_${this.#names.size}`
      this.#names.set(text, name)
    }
    return { name, text, values }
  }
}
