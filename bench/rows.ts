/** The row that everything is measured with: about 190 bytes as JSON with its id, different for every number. */

export interface User {
  name: string
  email: string
  visits: number
  bio: string
}

const bio =
  'Keeps bees, mends clocks, and walks the same eleven miles of coast every Sunday morning.'

/** `visits` carries `number`, so that a reader can tell which write it sees. */
export function user(number: number): User {
  return {
    name: `Ada Lovelace ${number}`,
    email: `ada.${number}@example.com`,
    visits: number,
    bio: `${bio} ${number}`,
  }
}

/** Rows made beforehand, so that making them is not what is measured. */
export function users(count: number): User[] {
  return Array.from({ length: count }, (_, index) => user(index))
}
