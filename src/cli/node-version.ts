/** The oldest Node.js that has all that is used here; package.json says the same under `engines`. */

const [oldestMajor, oldestMinor] = [22, 13]

/** What to tell the user of an older one, or undefined. `version` is as in `process.versions.node`. */
export function tooOldNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return undefined
  return `error: daybook needs Node.js ${oldestMajor}.${oldestMinor} or later, and this is ${version}.`
}
