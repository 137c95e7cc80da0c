/** Which fields of a document are there, and which of them are the client's own. */

import type { Fields } from '../../../mutation/mutation.ts'
import { isOwnName } from './binary-text.ts'

/** null is what a field becomes that was taken back. */
export function isThere(fields: Fields, name: string): boolean {
  return Object.hasOwn(fields, name) && fields[name] !== null
}

export function isOwnField(fields: Fields, name: string): boolean {
  return isOwnName(name) && isThere(fields, name)
}
