/** The histories that exhaustive.test.ts leaves out. */

import { explorations } from '../../simulation/exhaustive/explorations.ts'
import { everyStateIsRecovered } from './every-state.ts'

everyStateIsRecovered(explorations.filter((_, index) => index % 2 === 1))
