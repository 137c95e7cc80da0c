/** COPY's text format: one line for each row, fields apart by tabs. Pure. */

const needsEscape = /[\\\t\n\r]/
const escapable = /[\\\t\n\r]/g
const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
}

export function copyFieldText(text: string | null): string {
  if (text === null) return '\\N'
  return needsEscape.test(text)
    ? text.replace(escapable, (character) => escapes[character] ?? '')
    : text
}
