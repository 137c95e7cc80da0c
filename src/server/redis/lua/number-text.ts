/** Numbers as C's printf writes them with %.14g or %.17g: the shortest of both notations, without zeros at the end. */

/** As many as JavaScript gives: enough to tell whether a value is just in the middle. */
const manyDigits = 100

export function numberText(value: number, digits: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e14 && !Object.is(value, -0)) return `${value}`
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return '-0'
  const sign = value < 0 ? '-' : ''
  const [rounded, exponent] = roundedTo(Math.abs(value), digits)
  const shown = rounded.replace(/0+$/, '')
  if (exponent < -4 || exponent >= digits) {
    const power = String(Math.abs(exponent)).padStart(2, '0')
    return `${sign}${withPoint(shown, 1)}e${exponent < 0 ? '-' : '+'}${power}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${shown}`
  return sign + withPoint(shown.padEnd(exponent + 1, '0'), exponent + 1)
}

/** The digits, and the exponent of the first one. A value in the middle goes to the even digit, and not up as in JavaScript. */
function roundedTo(value: number, digits: number): [digits: string, exponent: number] {
  const [mantissa = '', power = '0'] = value.toExponential(digits - 1).split('e')
  const up = mantissa.replace('.', '')
  if (/[13579]$/.test(up) && isInTheMiddle(value, digits)) {
    // Up came to an odd digit, so there was no carry: the even one is the one before.
    return [up.slice(0, -1) + String(Number(up.at(-1)) - 1), Number(power)]
  }
  return [up, Number(power)]
}

function isInTheMiddle(value: number, digits: number): boolean {
  const all = value.toExponential(manyDigits).split('e', 1)[0]?.replace('.', '') ?? ''
  return /^50*$/.test(all.slice(digits))
}

function withPoint(digits: string, whole: number): string {
  return digits.length > whole ? `${digits.slice(0, whole)}.${digits.slice(whole)}` : digits
}
