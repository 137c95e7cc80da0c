/** Numbers, times and values as people read them. */

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })

/** `1,240` @param {number} value */
export function count(value) {
  return whole.format(value)
}

/** `1,240`, and from 100,000 on `1.2M` @param {number} value */
export function brief(value) {
  return value >= 100_000 ? short.format(value) : whole.format(value)
}

/** `1 row`, `3 rows` @param {number} value @param {string} noun */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** A rate each second. @param {number} value */
export function rate(value) {
  return value > 0 && value < 10 ? value.toFixed(1) : brief(Math.round(value))
}

/** `18.2 MiB` @param {number} value */
export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let scaled = value
  let unit = 0
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024
    unit += 1
  }
  return `${unit === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}`
}

/** `212 ms`, `3.1 s`, `4 min 20 s`, `2 h 5 min` @param {number} ms */
export function duration(ms) {
  const [value, unit] = durationParts(ms)
  return unit === '' ? value : `${value} ${unit}`
}

/** The number and its unit apart, for large print. @param {number} ms @returns {[string, string]} */
export function durationParts(ms) {
  if (ms <= 0) return ['0', 'ms']
  if (ms < 1) return [ms.toFixed(2), 'ms']
  if (ms < 10) return [ms.toFixed(1), 'ms']
  if (ms < 1_000) return [String(Math.round(ms)), 'ms']
  if (ms < 60_000) return [(ms / 1_000).toFixed(1), 's']
  const minutes = Math.floor(ms / 60_000)
  const seconds = Math.floor((ms % 60_000) / 1_000)
  if (minutes < 60) return [seconds === 0 ? `${minutes} min` : `${minutes} min ${seconds} s`, '']
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return [`${hours} h ${minutes % 60} min`, '']
  return [`${Math.floor(hours / 24)} d ${hours % 24} h`, '']
}

/** `12 min ago` @param {number} atMs @param {number} nowMs */
export function ago(atMs, nowMs) {
  const seconds = Math.max(0, Math.round((nowMs - atMs) / 1_000))
  if (seconds < 5) return 'just now'
  if (seconds < 60) return `${seconds} s ago`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ago`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`
}

/** `25 Nov, 20:14:05` @param {number} atMs */
export function moment(atMs) {
  return new Date(atMs).toLocaleString('en-GB', {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
}

/** `20:14` @param {number} atMs */
export function clockTime(atMs) {
  return new Date(atMs).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
}

/** `12.4` of a ratio, or `–` @param {number} value */
export function ratio(value) {
  if (!Number.isFinite(value)) return '–'
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1)
}

/** One value of a row; tags of what JSON cannot say are shown as what they are. @param {unknown} value */
export function shown(value) {
  if (value === undefined) return ''
  if (value === null) return 'null'
  if (typeof value === 'string') return value
  if (typeof value === 'object' && !Array.isArray(value)) {
    const { $bigint, $number, $bytes } = /** @type {Record<string, unknown>} */ (value)
    if (typeof $bigint === 'string') return $bigint
    if (typeof $number === 'string') return $number
    if (typeof $bytes === 'string') return `${atob($bytes).length} bytes: ${$bytes}`
  }
  return JSON.stringify(value)
}
