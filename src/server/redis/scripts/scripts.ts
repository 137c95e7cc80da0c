/**
 * Scripts of Lua: EVAL and EVALSHA as one step of a turn.
 *
 * A script runs from its beginning to its end in one turn of the loop, and all that it writes is one batch in the journal. One
 * that is stopped, since it took too long or too much memory, has written nothing. One that ends with an error has written
 * what it wrote before, as in Redis.
 *
 * All scripts share one Lua state, which is made at the first one, and anew after one that was stopped.
 */

import { isDaybookError, reasonOf } from '../../../base/errors.ts'
import { NotNamedBefore } from '../../../book/turn.ts'
import type { Call } from '../command.ts'
import { bytecodeStart } from '../lua/base-functions.ts'
import { luaType, type LuaMachine, type Thread } from '../lua/machine.ts'
import { Sandbox } from '../lua/sandbox.ts'
import { RedisError } from '../redis-error.ts'
import { failure } from '../reply.ts'
import type { Server } from '../server.ts'
import { errorText, replyOf } from './lua-values.ts'
import { redisConstants, redisFunctions, sha1Of } from './redis-library.ts'
import { ScriptCaller, ScriptRefused } from './script-caller.ts'
import { shebangOf, type Shebang } from './shebang.ts'

/** Of a Lua state, with everything in it. */
const maxLuaBytes = 64 * 1024 * 1024
/** Scripts that are remembered; the one that was not used for the longest time goes, and EVALSHA answers NOSCRIPT then. */
const maxScripts = 1000
const maxScriptsBytes = 16 * 1024 * 1024

interface Script {
  readonly sha: string
  readonly text: string
  readonly shebang: Shebang
  /** In `sandbox`. */
  reference: number
  sandbox: Sandbox | undefined
}

/** The code is where it cannot be left but by an exception, and the state is of no use any more. */
class ScriptStopped extends RedisError {}

export class Scripts {
  readonly #server: Server
  readonly #caller: ScriptCaller
  readonly #bySha = new Map<string, Script>()
  readonly #byText = new Map<string, Script>()
  #newest: Script | undefined
  #bytes = 0
  #sandbox: Sandbox | undefined
  /** Monotonic ms; undefined where the clock was not looked at yet, which short scripts never do. */
  #until: number | undefined

  constructor(server: Server) {
    this.#server = server
    this.#caller = new ScriptCaller(server)
  }

  has(sha: string): boolean {
    return this.#bySha.has(sha.toLowerCase())
  }

  /** Throws NOSCRIPT where there is none. */
  bySha(sha: string): Script {
    const script = this.#bySha.get(sha) ?? this.#bySha.get(sha.toLowerCase())
    if (script === undefined) throw new RedisError('NOSCRIPT No matching script. Please use EVAL.')
    return this.#used(script)
  }

  /** The script that the text is, ready to run. Throws what is wrong with it. */
  byText(text: string): Script {
    const known = this.#byText.get(text)
    if (known !== undefined) return this.#used(known)
    const script: Script = {
      sha: sha1Of(text),
      text,
      shebang: shebangOf(text),
      reference: 0,
      sandbox: undefined,
    }
    this.#until = undefined
    this.#compile(script)
    this.#bySha.set(script.sha, script)
    this.#byText.set(text, script)
    this.#newest = script
    this.#bytes += text.length
    while (this.#bySha.size > maxScripts || this.#bytes > maxScriptsBytes) this.#forgetOldest()
    return script
  }

  flush(): void {
    this.#bySha.clear()
    this.#byText.clear()
    this.#newest = undefined
    this.#bytes = 0
    this.#sandbox = undefined
  }

  /** A step of a turn, perhaps run again. */
  run(
    call: Call,
    script: Script,
    given: {
      readonly keys: readonly string[]
      readonly args: readonly string[]
      readonly readOnly: boolean
    },
  ): string {
    const { shebang } = script
    if (given.readOnly && shebang.isGiven && !shebang.readOnly) {
      throw new RedisError('ERR Can not execute a script with write flag using *_ro command.')
    }
    this.#until = undefined
    this.#caller.begin(call, given.readOnly || shebang.readOnly)
    const sandbox = this.#compile(script)
    return this.#guarded(sandbox, () => {
      const outcome = sandbox.run(script.reference, given.keys, given.args)
      const { machine, thread } = sandbox
      const isKnown = machine.fieldIsTrue(thread, 'ignore_error_stats_update')
      const reply =
        outcome === 'failed'
          ? failure(this.#errorLine(machine, thread, script))
          : replyOf(machine, thread, {
              protocol: call.protocol,
              version: this.#caller.version,
              maxBytes: this.#server.config.maxOutputBytes,
            })
      if (reply.startsWith('-')) this.#count(call, reply, isKnown)
      return reply
    })
  }

  /** An error that a command of the script gave is known already. */
  #count(call: Call, reply: string, isKnown: boolean): void {
    const server = this.#server
    server.statsOf(server.commandOf(call.args)).failed++
    if (!isKnown) server.failed(reply.slice(1), new RedisError(reply))
  }

  get size(): number {
    return this.#bySha.size
  }

  /** The newest is the last one. */
  #used(script: Script): Script {
    if (script === this.#newest) return script
    this.#newest = script
    this.#bySha.delete(script.sha)
    this.#bySha.set(script.sha, script)
    return script
  }

  #forgetOldest(): void {
    const [oldest] = this.#bySha.values()
    if (oldest === undefined) return
    this.#bySha.delete(oldest.sha)
    this.#byText.delete(oldest.text)
    this.#bytes -= oldest.text.length
    if (oldest.sandbox === this.#sandbox) this.#sandbox?.release(oldest.reference)
  }

  /** Where the script can run: compiled there, once. */
  #compile(script: Script): Sandbox {
    const sandbox = this.#ready()
    if (script.sandbox === sandbox) return sandbox
    if (script.text.startsWith(bytecodeStart)) {
      throw new RedisError(
        "ERR Error compiling script (new function): user_script:1: unexpected symbol near 'char(27)'",
      )
    }
    // The line feed stays, for the numbers of the lines.
    const text = script.text.slice(script.shebang.length)
    const compiled = this.#guarded(sandbox, () => sandbox.compile(text))
    if (typeof compiled === 'string') {
      throw new RedisError(`ERR Error compiling script (new function): ${compiled}`)
    }
    script.reference = compiled
    script.sandbox = sandbox
    return sandbox
  }

  #ready(): Sandbox {
    this.#sandbox ??= this.#make()
    return this.#sandbox
  }

  #make(): Sandbox {
    const { random } = this.#server
    return new Sandbox({
      maxBytes: maxLuaBytes,
      tick: () => this.#tick(),
      outOfMemory: () =>
        new ScriptStopped(
          `ERR the script needs more than ${maxLuaBytes / 1024 / 1024} MiB of memory and was stopped; nothing of it is written`,
        ),
      redis: (machine) => redisFunctions(machine, this.#caller),
      constants: redisConstants,
      random: () => random.next(),
    })
  }

  #tick(): void {
    const { clock, config } = this.#server
    const now = clock.now()
    this.#until ??= now + config.maxScriptMs
    if (now < this.#until) return
    throw new ScriptStopped(
      `ERR the script has run for ${config.maxScriptMs} ms and was stopped; nothing of it is written. Make it shorter, or raise redis.maxScriptMs`,
    )
  }

  /** The state is dropped where something broke out of it from within. */
  #guarded<T>(sandbox: Sandbox, run: () => T): T {
    try {
      return run()
    } catch (error) {
      if (error instanceof NotNamedBefore || error instanceof ScriptRefused) {
        sandbox.abandon()
        throw error
      }
      this.#sandbox = undefined
      if (error instanceof RedisError || isDaybookError(error)) throw error
      throw new ScriptStopped(
        `ERR the script was stopped, and nothing of it is written: ${reasonOf(error)}`,
      )
    }
  }

  /** Of the error on top of the stack, which Redis's handler has made a table of. */
  #errorLine(machine: LuaMachine, thread: Thread, { sha }: Script): string {
    if (machine.api.lua_type(thread, -1) !== luaType.table) {
      const message = machine.stringAt(thread, -1) ?? 'execution failure'
      return errorText(`ERR Error running script ${sha}, ${message.slice(0, 100)}`)
    }
    const [message, source, line] = ['err', 'source', 'line'].map((name) => {
      machine.pushField(thread, -1, name)
      const text = machine.stringAt(thread, -1)
      machine.pop(thread)
      return text
    })
    const place =
      source !== undefined && line !== undefined ? ` script: ${sha}, on ${source}:${line}.` : ''
    return errorText(`${message ?? ''}${place}`)
  }
}
