/** What a command is, and what it is given. */

import type { Turn } from '../../book/turn.ts'
import type { Fields } from '../../mutation/mutation.ts'
import type { Protocol } from './reply.ts'
import type { Server } from './server.ts'
import type { Session } from './session.ts'
import type { Target } from './spaces/space.ts'

/** One call of a command: of a connection, one after the other, in the same object. */
export interface Call {
  readonly session: Session
  readonly server: Server
  readonly turn: Turn
  readonly protocol: Protocol
  /** The name first. */
  readonly args: readonly string[]
  /** All arguments are ASCII without NUL. */
  readonly plain: boolean
  /** Of the command's keys, in the order of the arguments. */
  readonly targets: readonly Target[]
}

export type Flag =
  | 'write'
  | 'readonly'
  | 'admin'
  | 'fast'
  | 'pubsub'
  | 'noscript'
  | 'loading'
  | 'stale'
  | 'denyoom'
  /** The wait is what it is for, and no sign of anything slow. */
  | 'blocking'
  /** Not all of its keys stand where `keys` says. */
  | 'movablekeys'
  /** May be called before authentication. */
  | 'no_auth'
  /** Runs at once within MULTI, and is not queued. */
  | 'no_multi'

export interface Described {
  /** In lower case. Of a subcommand `client|id`. */
  readonly name: string
  /** As Redis counts: the name is one; negative: at least as many. */
  readonly arity: number
  readonly flags: readonly Flag[]
  /** First and last argument that is a key, and the step between them; last is negative from the end. */
  readonly keys?: readonly [first: number, last: number, step: number]
  /** The argument that says how many keys follow it. */
  readonly countedKeys?: number
  /** The argument that is a key besides those that are counted. */
  readonly destination?: number
  /** The arguments that are keys among its options. They come last. */
  readonly optionalKeys?: (args: readonly string[]) => readonly number[]
  /** Where else its keys may stand, one after the other; undefined where there are none. */
  readonly keyRange?: (args: readonly string[]) => KeyRange | undefined
  readonly group?: string
  readonly summary?: string
  /** One of these is the second argument, and then is the command. */
  readonly subcommands?: ReadonlyMap<string, Command>
  /** The same command where its arguments ask for something that has to be done in another way. */
  readonly variant?: (args: readonly string[]) => Command | undefined
  /** What is run instead in a transaction and in a script: it asks for a wait, and nothing waits there. */
  readonly atOnce?: Command
  /** It asks for the wait by an option, which a script must not give. */
  readonly waitIsOption?: boolean
}

/** First and last argument that is a key, and the step between them. */
export type KeyRange = readonly [first: number, last: number, step: number]

export type Command = Described &
  (
    | {
        /** A step of a turn, perhaps run again: no effect but what it writes, unless it cannot be run again. */
        readonly run: (call: Call) => string
        /** True where this call looks at none of its keys; `rows` where it does not look at keys that are rows. */
        readonly blind?: (args: readonly string[]) => boolean | 'rows'
      }
    | {
        /** Not a step: it waits for something. */
        readonly wait: (call: Call) => Promise<string>
      }
  )

/** The commands with their group, which COMMAND DOCS tells. */
export function inGroup(group: string, commands: readonly Command[]): readonly Command[] {
  return commands.map((command) => ({ ...command, group }))
}

/** What is the second argument of a command, by its name. */
export function subcommandsOf(
  group: string,
  parent: string,
  commands: readonly Command[],
): ReadonlyMap<string, Command> {
  return new Map(
    commands.map((command) => [
      command.name,
      { ...command, name: `${parent}|${command.name}`, group },
    ]),
  )
}

/** The arguments that are keys, the destination first; undefined where there are none. */
export function keyNames(command: Command, args: readonly string[]): string[] | undefined {
  const range = keyRange(command, args)
  if (range === undefined) return undefined
  const [first, last, step] = range
  const { destination } = command
  const names = destination === undefined ? [] : [args[destination] ?? '']
  for (let at = first; at <= last; at += step) names.push(args[at] ?? '')
  for (const at of command.optionalKeys?.(args) ?? []) names.push(args[at] ?? '')
  return names
}

function keyRange(
  { keys, countedKeys, keyRange: given }: Command,
  args: readonly string[],
): KeyRange | undefined {
  if (given !== undefined) return given(args)
  if (countedKeys !== undefined) {
    const count = Number(args[countedKeys])
    // What is wrong with it the command says by itself.
    if (!Number.isSafeInteger(count) || count < 1) return undefined
    return [countedKeys + 1, Math.min(countedKeys + count, args.length - 1), 1]
  }
  if (keys === undefined) return undefined
  const [first, last, step] = keys
  return [first, last < 0 ? args.length + last : Math.min(last, args.length - 1), step]
}

/** The n-th key; the command's arity has seen to it that there is one. */
export function targetOf(call: Call, index = 0): Target {
  const target = call.targets[index]
  if (target === undefined) throw new Error('A command has the keys that it declares.')
  return target
}

/** The value of a key that a command only reads: who waits for misses is told of one. */
export function lookUp(call: Call, target: Target): Fields | undefined {
  const current = target.space.live(target)
  if (current === undefined) call.server.events.tell(target, 'miss', 'keymiss')
  return current
}

export function argumentOf(call: Call, index: number): string {
  return call.args[index] ?? ''
}
