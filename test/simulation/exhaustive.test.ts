/** Every second history; the others are in exhaustive-more.test.ts, so that two workers share them. */

import { explorations } from '../../simulation/exhaustive/explorations.ts'
import { everyStateIsRecovered } from './every-state.ts'

everyStateIsRecovered(explorations.filter((_, index) => index % 2 === 0))
