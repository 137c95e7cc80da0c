/**
 * Runs the commands of a script, within the step that the script is: what one of them writes the next one sees, and what one
 * that fails has written is taken back.
 *
 * The script's KEYS are the places of the step. Any other key is named to the turn when a command comes with it, and where it
 * must be loaded first the whole step is run again: a script has no effect before its end.
 */

import { NotNamedBefore, type Turn } from '../../../book/turn.ts'
import { keyNames, type Call, type Command } from '../command.ts'
import { databaseCount } from '../databases.ts'
import { whyMissing } from '../missing-commands.ts'
import { safeIntegerOf } from '../numbers.ts'
import { errorLine, RedisError, tooLong } from '../redis-error.ts'
import { integer, ok, resp2, resp3, type Protocol } from '../reply.ts'
import type { Server } from '../server.ts'
import { Session } from '../session.ts'
import type { Target } from '../spaces/space.ts'

/** Ends the script, and with it the step: nothing of it is written. */
export class ScriptRefused extends RedisError {}

/** Of the commands outside of the groups of data. */
const otherCommands = new Set(['echo', 'ping', 'publish', 'select', 'spublish', 'time'])
const groups = new Set(['generic', 'hash', 'list', 'set', 'sorted-set', 'stream', 'string'])
/** Their messages go out once the script is acknowledged. */
const publishing = new Set(['publish', 'spublish'])
/** Beside its arguments. */
const bytesOfCommand = 64

class ScriptCall implements Call {
  readonly session: Session
  readonly server: Server
  readonly turn: Turn
  protocol: Protocol = resp2
  args: readonly string[] = []
  readonly plain = false
  targets: readonly Target[] = []

  constructor(session: Session, server: Server) {
    this.session = session
    this.server = server
    this.turn = server.turn
  }
}

export class ScriptCaller {
  readonly #server: Server
  readonly #call: ScriptCall
  #readOnly = false
  /** By their names, those that the step has, or that were named to the turn. */
  readonly #targets = new Map<string, Target>()
  /** Of the commands that write. */
  #bytes = 0

  constructor(server: Server) {
    this.#server = server
    const session = new Session({
      id: 0,
      address: '',
      localAddress: '',
      now: server.clock.now(),
      authenticated: true,
      kill: () => undefined,
      gone: new AbortController().signal,
      push: () => undefined,
    })
    this.#call = new ScriptCall(session, server)
  }

  /** What `redis.setresp` has said. */
  get version(): 2 | 3 {
    return this.#call.protocol.version
  }

  set version(version: 2 | 3) {
    this.#call.protocol = version === 3 ? resp3 : resp2
  }

  begin(call: Call, readOnly: boolean): void {
    this.#call.session.database = call.session.database
    this.version = 2
    this.#readOnly = readOnly
    this.#bytes = 0
    this.#targets.clear()
    for (const target of call.targets) this.#targets.set(target.name, target)
  }

  /** True where there is such a command. */
  knows(args: readonly string[]): boolean {
    return this.#commandOf(args) !== undefined
  }

  /** The reply. Throws what the command throws. */
  run(args: readonly string[]): string {
    const command = this.#allowed(args)
    const stats = this.#server.statsOf(command)
    const { turn } = this.#call
    if (this.#server.monitors.size > 0) this.#show(args)
    const before = turn.writes
    try {
      const reply = this.#perform(command, args)
      stats.calls++
      return reply
    } catch (error) {
      if (error instanceof NotNamedBefore) throw error
      turn.undoTo(before)
      stats.calls++
      stats.failed++
      this.#server.failed(errorLine(error), error)
      throw error
    }
  }

  #perform(command: Command, args: readonly string[]): string {
    if (command.name === 'select') return this.#select(args[1] ?? '')
    if (publishing.has(command.name)) {
      return this.#publish(command.name, args[1] ?? '', args[2] ?? '')
    }
    if (command.waitIsOption === true) {
      throw new RedisError(`ERR ${args[0]} command is not allowed with BLOCK option from scripts`)
    }
    const atOnce = command.atOnce ?? command
    if (!('run' in atOnce)) throw notInScripts(command)
    const call = this.#call
    call.args = args
    call.targets = this.#targetsOf(command, args)
    return atOnce.run(call)
  }

  /** To those who MONITOR: once the script is acknowledged, since it may be run again until then. */
  #show(args: readonly string[]): void {
    const { session, turn } = this.#call
    const { monitors, clock } = this.#server
    const [database, at] = [session.database, clock.wallTime()]
    turn.afterwards(() => monitors.show({ database, address: 'lua' }, args, at))
  }

  #commandOf(args: readonly string[]): Command | undefined {
    try {
      return this.#server.commandOf(args)
    } catch {
      return undefined
    }
  }

  /** The command. Throws what Redis says of it. */
  #allowed(args: readonly string[]): Command {
    const command = this.#commandOf(args)
    const problem = command === undefined ? unknown(args[0] ?? '') : this.#problemOf(command, args)
    if (command !== undefined && problem === undefined) {
      this.#checkBounds(args, command.flags.includes('write'))
      return command
    }
    const error = new RedisError(`ERR ${problem ?? ''}`)
    if (command !== undefined) this.#server.statsOf(command).rejected++
    this.#server.failed(error.message, error)
    throw error
  }

  #problemOf(
    { name, arity, flags, group = '' }: Command,
    args: readonly string[],
  ): string | undefined {
    if (arity >= 0 ? args.length !== arity : args.length < -arity) {
      return 'Wrong number of args calling Redis command from script'
    }
    if (flags.includes('noscript') || !(groups.has(group) || otherCommands.has(name))) {
      return 'This Redis command is not allowed from script'
    }
    if (this.#readOnly && (flags.includes('write') || publishing.has(name))) {
      return 'Write commands are not allowed from read-only scripts.'
    }
    return undefined
  }

  /** The bounds that requests of clients have. */
  #checkBounds(args: readonly string[], writes: boolean): void {
    const { maxBulkBytes, maxRequestBytes, maxArguments } = this.#server.config
    if (args.length > maxArguments) throw new RedisError('ERR too many arguments')
    let bytes = bytesOfCommand
    for (const { length } of args) {
      if (length > maxBulkBytes) throw tooLong()
      bytes += length
    }
    if (writes) this.#bytes += bytes
    if (Math.max(bytes, this.#bytes) > maxRequestBytes) {
      throw new ScriptRefused(
        `ERR the commands of the script take more than ${maxRequestBytes} bytes; nothing of it is written. Split its work, or raise redis.maxRequestBytes`,
      )
    }
  }

  #targetsOf(command: Command, args: readonly string[]): readonly Target[] {
    return (keyNames(command, args) ?? []).map((name) => this.#target(name))
  }

  #target(name: string): Target {
    const known = this.#targets.get(name)
    if (known !== undefined) return known
    const { session, turn } = this.#call
    const target = this.#server.databases.target(session.database, name, false, false)
    turn.name(target)
    if (target.deadline !== undefined) turn.name(target.deadline)
    this.#targets.set(name, target)
    return target
  }

  /** For the rest of the script. */
  #select(text: string): string {
    const index = safeIntegerOf(text)
    if (index === undefined) throw new RedisError('ERR value is not an integer or out of range')
    if (index < 0 || index >= databaseCount) throw new RedisError('ERR DB index is out of range')
    if (!this.#server.databases.has(index)) {
      throw new RedisError(
        `ERR database ${index} has not been used yet: SELECT it once outside of scripts`,
      )
    }
    this.#call.session.database = index
    this.#targets.clear()
    return ok
  }

  /** Once the script is acknowledged: until then it may be run again. */
  #publish(name: string, channel: string, message: string): string {
    const { channels } = this.#server
    const isToShard = name === 'spublish'
    this.#call.turn.afterwards(() => {
      if (isToShard) channels.publishToShard(channel, message)
      else channels.publish(channel, message)
    })
    this.#bytes += message.length
    return integer(
      isToShard ? channels.subscribers(channel, 'shards') : channels.receivers(channel),
    )
  }
}

function notInScripts({ name }: Command): RedisError {
  return new RedisError(
    `ERR ${name.toUpperCase()} is not allowed from script: a script is one step, and this command waits for something`,
  )
}

function unknown(name: string): string {
  const why = whyMissing(name)
  const text = 'Unknown Redis command called from script'
  return why === undefined ? text : `${text}: ${name.toUpperCase()} (${why})`
}
