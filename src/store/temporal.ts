/**
 * The canonical text of dates and times. Pure; no clock, no time zone of the machine.
 *
 * Each function gives the canonical form, or undefined where the input has none: an impossible date, a precision
 * beyond microseconds, a year outside 0001–9999, a missing or ambiguous offset.
 */

const timestampPattern =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?(?: ?(Z|z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?))?$/
const datePattern = /^(\d{4})-(\d\d)-(\d\d)$/
const timePattern = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?$/

const earliestMs = Date.parse('0001-01-01T00:00:00.000Z')
const latestMs = Date.parse('9999-12-31T23:59:59.999Z')

/** '2026-11-23T08:30:00.000Z'. Takes a Date, or text with an offset. */
export function canonicalTimestamptz(value: unknown): string | undefined {
  if (value instanceof Date) return instantText(value.getTime(), '')
  if (typeof value !== 'string') return undefined
  const match = timestampPattern.exec(value)
  if (match?.[8] === undefined) return undefined
  return timestampText(match)
}

/** '2026-11-23T08:30:00.000'. An instant (a Date, or text with an offset) is taken as UTC. */
export function canonicalTimestamp(value: unknown): string | undefined {
  if (value instanceof Date) return instantText(value.getTime(), '')?.slice(0, -1)
  if (typeof value !== 'string') return undefined
  const match = timestampPattern.exec(value)
  return match === null ? undefined : timestampText(match)?.slice(0, -1)
}

/** 'YYYY-MM-DD'. A Date is taken where it is midnight in UTC: otherwise its time would be lost. */
export function canonicalDate(value: unknown): string | undefined {
  if (value instanceof Date) {
    const text = instantText(value.getTime(), '')
    return text?.endsWith('T00:00:00.000Z') === true ? text.slice(0, 10) : undefined
  }
  if (typeof value !== 'string') return undefined
  const match = datePattern.exec(value)
  if (match === null) return undefined
  return dayMs(match) === undefined ? undefined : value
}

/** 'HH:MM:SS', with 3 or 6 fraction digits where they are not zero. */
export function canonicalTime(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const match = timePattern.exec(value)
  if (match === null) return undefined
  const [, hour = '', minute = '', second = '00', digits = ''] = match
  if (hour > '23' || minute > '59' || second > '59') return undefined
  const fraction = microseconds(digits)
  if (fraction === undefined) return undefined
  if (fraction === '000000') return `${hour}:${minute}:${second}`
  return `${hour}:${minute}:${second}.${fraction.endsWith('000') ? fraction.slice(0, 3) : fraction}`
}

const epoch2000Ms = Date.UTC(2000, 0, 1)

/**
 * A canonical timestamp with at most `precision` fraction digits, rounded as PostgreSQL does: to the nearest, and half
 * away from the year 2000.
 */
export function roundTimestamp(text: string, precision: number): string | undefined {
  const zone = text.endsWith('Z') ? 'Z' : ''
  const fraction = text.slice(20, zone === '' ? undefined : -1).padEnd(6, '0')
  if (precision >= 6 || /^0*$/.test(fraction.slice(precision))) return text
  const ms = Date.parse(`${text.slice(0, 23)}Z`)
  const micros = BigInt(ms - epoch2000Ms) * 1000n + BigInt(fraction.slice(3))
  const step = 10n ** BigInt(6 - precision)
  const magnitude = ((micros < 0n ? -micros : micros) + step / 2n) / step
  const nearest = (micros < 0n ? -magnitude : magnitude) * step
  const rest = ((nearest % 1000n) + 1000n) % 1000n
  const wholeMs = Number((nearest - rest) / 1000n) + epoch2000Ms
  const instant = instantText(wholeMs, rest.toString().padStart(3, '0'))
  return zone === '' ? instant?.slice(0, -1) : instant
}

function timestampText(match: RegExpExecArray): string | undefined {
  const day = dayMs(match)
  const hour = Number(match[4])
  const minute = Number(match[5])
  const second = Number(match[6] ?? '0')
  if (day === undefined || hour > 23 || minute > 59 || second > 59) return undefined
  const fraction = microseconds(match[7] ?? '')
  const offset = offsetMs(match[8] ?? 'Z')
  if (fraction === undefined || offset === undefined) return undefined
  const wholeMs = day + ((hour * 60 + minute) * 60 + second) * 1000
  return instantText(wholeMs + Number(fraction.slice(0, 3)) - offset, fraction.slice(3))
}

/** `micro`: the three digits beyond milliseconds, or none. */
function instantText(ms: number, micro: string): string | undefined {
  if (!(ms >= earliestMs && ms <= latestMs)) return undefined
  const text = new Date(ms).toISOString()
  return micro === '' || micro === '000' ? text : `${text.slice(0, -1)}${micro}Z`
}

/** Midnight of the day in UTC, or undefined for a day that the calendar does not have. */
function dayMs(match: RegExpExecArray): number | undefined {
  const month = Number(match[2])
  const day = Number(match[3])
  // Date.parse would take 30 February as 2 March; and Date.UTC takes years below 100 as 19xx.
  const ms = Date.parse(`${match[1]}-${match[2]}-${match[3]}T00:00:00.000Z`)
  if (Number.isNaN(ms) || month < 1 || match[1] === '0000') return undefined
  return new Date(ms).getUTCDate() === day ? ms : undefined
}

function microseconds(digits: string): string | undefined {
  if (digits.length <= 6) return digits.padEnd(6, '0')
  return /^0*$/.test(digits.slice(6)) ? digits.slice(0, 6) : undefined
}

function offsetMs(text: string): number | undefined {
  if (text === 'Z' || text === 'z') return 0
  const digits = text.slice(1).replaceAll(':', '')
  const hours = Number(digits.slice(0, 2))
  const minutes = Number(digits.slice(2, 4))
  const seconds = Number(digits.slice(4, 6))
  if (hours > 18 || minutes > 59 || seconds > 59) return undefined
  const ms = ((hours * 60 + minutes) * 60 + seconds) * 1000
  return text.startsWith('-') ? -ms : ms
}
