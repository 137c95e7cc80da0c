/** The oldest Node.js that has all that is used: `engines` in package.json says the same. */
const oldest = { major: 22, minor: 13 }

/** What to say where this Node.js is too old, such as `20.19.2`; undefined where it is not. */
export function nodeTooOld(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > oldest.major || (major === oldest.major && minor >= oldest.minor)) return undefined
  return `error: daybook needs Node.js ${oldest.major}.${oldest.minor} or later, and this is ${version}.`
}
