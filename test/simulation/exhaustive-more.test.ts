/** The histories that exhaustive.test.ts leaves out. */

import { histories } from '../../simulation/exhaustive/histories.ts'
import { everyStateIsRecovered } from './every-state.ts'

everyStateIsRecovered(histories.filter((_, index) => index % 2 === 1))
