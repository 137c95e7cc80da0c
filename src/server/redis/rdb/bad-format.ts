/** What RESTORE says of a payload that it cannot read. */

import { RedisError } from '../redis-error.ts'

export const badFormat = (): RedisError => new RedisError('ERR Bad data format')
