/** Arguments of a command as others may see them: passwords are left out. */

const redacted = '(redacted)'

export function shownArguments(args: readonly string[]): readonly string[] {
  const name = args[0]?.toLowerCase()
  if (name === 'auth') return args.map((word, at) => (at === 0 ? word : redacted))
  if (name !== 'hello') return args
  // A word that looks like the option may be a name: better one too many than a password.
  const at = args.findIndex((word) => word.toLowerCase() === 'auth')
  return at < 0
    ? args
    : args.map((word, index) => (index > at && index <= at + 2 ? redacted : word))
}
