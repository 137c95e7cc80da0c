/** What a fault is: how it makes the processes of a cycle suffer, and whether it really has. */

import type { Cycle } from './cycle.ts'
import type { StoreName } from './database.ts'

export interface Fault {
  readonly name: string
  /** One sentence. */
  readonly about: string
  readonly stores: readonly StoreName[]
  readonly needs?: 'strace' | 'mount'
  /** When it returns, no process of the cycle is left, and nothing is in the database's way. */
  run(cycle: Cycle): Promise<Strike>
}

export interface Strike {
  readonly fired: boolean
  /** Where exactly it struck, or would have. */
  readonly point: string
}
