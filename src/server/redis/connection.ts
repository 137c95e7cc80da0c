/**
 * One client: bytes in, commands one after the other, replies out in their order.
 *
 * A command runs in the turn in which it is read, and the next one right after it: nobody waits for the reply of the one
 * before, so a pipeline shares group commits. A command that cannot run now (a value must be loaded, the journal is full)
 * stalls the connection, for commands of one connection take effect in order; what those behind it will need is loaded
 * meanwhile.
 *
 * Commands also wait while the client does not read its replies. A client that still owes too much is cut off.
 *
 *     running ─▶ stalled (a command waits)  ─▶ running
 *             └▶ blocked (replies unread)   ─▶ running
 *             └▶ closing (QUIT, protocol error, end of input): replies go out, then the socket ends
 */

import type { Socket } from 'node:net'
import { NotNamedBefore, type Acknowledgement, type Place, type Turn } from '../../book/turn.ts'
import type { Call, Command } from './command.ts'
import { maxNear, type Near } from './near.ts'
import { errorLine, ForeignProtocol, RedisError, wrongArity } from './redis-error.ts'
import { failure, queued } from './reply.ts'
import { ReplyQueue } from './reply-queue.ts'
import { ProtocolError, RequestParser, strangerLimits } from './request-parser.ts'
import type { CommandStats, Server } from './server.ts'
import { Session, type Queued } from './session.ts'
import { placesOf, type Target } from './spaces/space.ts'
import { stepLater } from './step-later.ts'
import { hasChanged, watchAnew } from './commands/transaction-commands.ts'

/** Requests that are read ahead while a command is stalled. */
const maxAhead = 256
/** Input that may wait while nothing runs. */
const maxWaitingInput = 256 * 1024
const noTargets: readonly Target[] = []

/** The one call of a connection, filled in for each command. */
class ConnectionCall implements Call {
  readonly session: Session
  readonly server: Server
  readonly turn: Turn
  args: readonly string[] = []
  plain = false
  targets: readonly Target[] = noTargets

  constructor(session: Session, server: Server) {
    this.session = session
    this.server = server
    this.turn = server.turn
  }

  get protocol(): Session['protocol'] {
    return this.session.protocol
  }
}

interface Request {
  readonly args: readonly string[]
  readonly plain: boolean
}

export class Connection {
  readonly session: Session
  readonly #socket: Socket
  readonly #server: Server
  readonly #parser: RequestParser
  readonly #replies: ReplyQueue
  readonly #call: ConnectionCall
  /** The connection is no more. */
  readonly #gone = new AbortController()
  /** The client sends nothing more: it does not wait for what others may do some day. */
  readonly #left = new AbortController()
  readonly #step: () => void
  #run: (call: Call) => string = () => ''
  #reply = ''
  /** Of the command that runs. */
  #stats: CommandStats | undefined
  /** Of the last command: most are like the one before. */
  #lastCommand: Command | undefined
  #lastStats: CommandStats | undefined
  /** Read; those from `#next` on have not run yet. */
  #ahead: Request[] = []
  #next = 0
  #broken: ProtocolError | undefined
  #stalled = false
  #running = false
  /** Input has arrived that was not looked at. */
  #due = false
  /** The client sends nothing more; what it sent is still answered. */
  #ended = false
  /** Monotonic ms since when the client has not read what it was sent. */
  #unreadSince: number | undefined

  constructor(socket: Socket, server: Server, id: number) {
    this.#socket = socket
    this.#server = server
    const authenticated = server.config.password === undefined
    this.session = new Session({
      id,
      address: `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`,
      localAddress: `${socket.localAddress ?? ''}:${socket.localPort ?? 0}`,
      now: server.clock.now(),
      authenticated,
      kill: () => this.destroy(),
      gone: this.#left.signal,
      push: (text) => this.#push(text),
    })
    this.#parser = new RequestParser(authenticated ? server.parserLimits : strangerLimits)
    this.#parser.authenticated = authenticated
    this.#replies = new ReplyQueue(() => {
      this.#flush()
      this.#resume()
    })
    this.#call = new ConnectionCall(this.session, server)
    this.#step = () => {
      this.#reply = this.#run(this.#call)
    }
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('drain', () => {
      this.#unreadSince = undefined
      this.#resume()
    })
    socket.on('end', () => {
      this.#ended = true
      this.#left.abort()
      this.#resume()
    })
    // What goes wrong with a socket ends the connection, and nothing else.
    socket.on('error', () => this.destroy())
    socket.on('close', () => {
      this.#gone.abort()
      this.#left.abort()
      server.left(this)
    })
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Ends connections that are stuck. Called about once a second. */
  sweep(now: number): void {
    const { config } = this.#server
    const { session } = this
    const idleMs = now - session.usedAt
    const stuck =
      (!session.authenticated && now - session.connectedAt > config.authTimeoutMs) ||
      (this.#parser.isWithinRequest && !this.#stalled && idleMs > config.requestTimeoutMs) ||
      (this.#unreadSince !== undefined && now - this.#unreadSince > config.requestTimeoutMs) ||
      (config.idleTimeoutMs > 0 &&
        idleMs > config.idleTimeoutMs &&
        session.subscriptions === 0 &&
        !session.monitoring &&
        !this.#stalled)
    if (stuck) this.destroy()
  }

  /** Bytes that it takes, for CLIENT LIST. */
  get inputBytes(): number {
    return this.#parser.bufferedBytes
  }

  get outputBytes(): number {
    return this.#replies.bytes + this.#socket.writableLength
  }

  #receive(chunk: Buffer): void {
    this.#server.stats.inputBytes += chunk.length
    // What came before it is not copied because of it.
    if (this.#due) this.runDue()
    if (this.session.closing) return
    this.#parser.push(chunk)
    this.#due = true
    this.#server.due(this, chunk.length)
  }

  /** Runs what has arrived. */
  runDue(): void {
    if (!this.#due) return
    this.#due = false
    if (this.#socket.destroyed) return
    this.#runAll()
    if (this.#isWaiting() && this.#parser.bufferedBytes > maxWaitingInput) this.#socket.pause()
  }

  #isWaiting(): boolean {
    return this.#stalled || this.#isBlocked()
  }

  #isBlocked(): boolean {
    return this.outputBytes > this.#server.config.maxOutputBytes / 4
  }

  #resume(): void {
    if (this.#running || this.#isWaiting() || this.#socket.destroyed) return
    this.#runAll()
    if (!this.#isWaiting() && this.#socket.isPaused()) this.#socket.resume()
  }

  #runAll(): void {
    if (this.#running) return
    this.#running = true
    try {
      // What is written may leave at once, and then there is room for more replies.
      while (this.#runSome()) {
        this.#flush()
        if (this.#isWaiting()) break
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#replies.add(failure(errorLine(new RedisError(error.message))), undefined, 0)
      this.session.closing = true
    } finally {
      this.#running = false
    }
    if (this.#ended && !this.#isWaiting()) this.session.closing = true
    this.#flush()
  }

  /** True where it stopped although there may be more requests. */
  #runSome(): boolean {
    const { times } = this.#server
    times.begin()
    try {
      while (!this.session.closing) {
        if (this.#isWaiting()) return true
        const request = this.#nextRequest()
        if (request === undefined) {
          if (this.#broken !== undefined) throw this.#broken
          return false
        }
        this.#execute(request.args, request.plain)
        if (this.#stats === undefined || this.#lastCommand === undefined || this.#stalled) continue
        times.ran(this.session, this.#lastCommand, request.args, this.#stats.times)
      }
      return false
    } finally {
      times.end()
    }
  }

  #nextRequest(): Request | undefined {
    if (this.#next === this.#ahead.length) {
      this.readTogether(this.#server.near)
      this.#server.near.bring()
      if (this.#ahead.length === 0) return undefined
    }
    return this.#ahead[this.#next++]
  }

  /** Answers, queues for EXEC, or stalls. */
  #execute(args: readonly string[], plain: boolean): void {
    const { session } = this
    session.usedAt = this.#server.now
    this.#stats = undefined
    this.#server.stats.commands++
    let command: Command
    try {
      command = this.#accepted(args)
    } catch (error) {
      this.#refuse(error)
      return
    }
    session.lastCommand = command.name
    if (this.#server.monitors.size > 0) this.#show(command, args)
    const stats = this.#statsOf(command)
    stats.calls++
    this.#stats = stats
    if (session.transaction !== undefined && !command.flags.includes('no_multi')) {
      this.#queue({ command: command.atOnce ?? command, args, plain })
    } else if (command.name === 'exec') this.#exec()
    else this.#perform(command, args, plain)
  }

  /** To those who watch. As in Redis, not what only concerns the server. */
  #show(command: Command, args: readonly string[]): void {
    const { monitors, clock } = this.#server
    if (!command.flags.includes('admin')) monitors.show(this.session, args, clock.wallTime())
  }

  #statsOf(command: Command): CommandStats {
    if (command !== this.#lastCommand || this.#lastStats === undefined) {
      this.#lastCommand = command
      this.#lastStats = this.#server.statsOf(command)
    }
    return this.#lastStats
  }

  /** The command, or what Redis says where it may not be called. */
  #accepted(args: readonly string[]): Command {
    const { session } = this
    const command = this.#server.commandOf(args)
    if (!session.authenticated && !command.flags.includes('no_auth')) {
      throw new RedisError('NOAUTH Authentication required.')
    }
    const { arity } = command
    if (arity >= 0 ? args.length !== arity : args.length < -arity) throw wrongArity(command.name)
    if (session.subscriptions > 0 && session.protocol.version === 2 && !isForSubscribers(command)) {
      throw new RedisError(
        `ERR Can't execute '${command.name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
      )
    }
    return command
  }

  #refuse(error: unknown): void {
    if (error instanceof ForeignProtocol) {
      this.session.closing = true
      this.destroy()
      return
    }
    if (this.session.transaction !== undefined) this.session.transaction.refused = true
    this.#fail(error)
  }

  #queue(call: Queued): void {
    const { transaction } = this.session
    if (transaction === undefined) return
    for (const word of call.args) transaction.bytes += word.length + 16
    if (transaction.bytes > this.#server.config.maxRequestBytes) {
      this.#refuse(new RedisError('ERR the commands of the transaction take too much memory'))
      return
    }
    transaction.queue.push(call)
    // It runs at EXEC.
    this.#stats = undefined
    this.#answer(queued, undefined)
  }

  #perform(command: Command, args: readonly string[], plain: boolean): void {
    const call = this.#call
    call.args = args
    call.plain = plain
    if ('wait' in command) {
      this.#stallFor(command.wait(call))
      return
    }
    try {
      call.targets = this.#targetsOf(command, args, plain)
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#run = command.run
    if (!this.#attempt(placesOf(call.targets))) this.#performLater(command)
  }

  /** A function of its own: what it captures would be allocated for each command that runs at once. */
  #performLater(command: Command): void {
    const call = this.#call
    this.#stallFor(
      this.#later(() => {
        call.targets = this.#targetsOf(command, call.args, call.plain)
        return placesOf(call.targets)
      }),
    )
  }

  /** Runs the step now, where it can be. */
  #attempt(places: readonly Place[]): boolean {
    const { turn } = this.#server
    try {
      if (turn.tryNow(places, this.#step) !== 'done') return false
      this.#answer(this.#reply, turn)
    } catch (error) {
      this.#fail(error)
    }
    return true
  }

  async #later(look: () => readonly Place[]): Promise<Answered> {
    const done = await stepLater(this.#server, look, this.#step, this.#gone.signal)
    return { reply: this.#reply, done }
  }

  /** The commands of the transaction in one step; those that wait for something come after it. */
  #exec(): void {
    const { session } = this
    const { transaction } = session
    if (transaction === undefined) {
      this.#fail(new RedisError('ERR EXEC without MULTI'))
      return
    }
    if (transaction.refused) {
      session.endTransaction()
      this.#fail(new RedisError('EXECABORT Transaction discarded because of previous errors.'))
      return
    }
    let parts: readonly Part[] = []
    const look = (): readonly Place[] => {
      parts = this.#partsOf(transaction.queue)
      watchAnew(session, this.#server.databases)
      return placesOf([
        ...session.watched.map(({ target }) => target),
        ...parts.flatMap((part) => part.targets),
      ])
    }
    const places = look()
    const call = this.#call
    let replies: string[] | undefined
    this.#run = () => {
      replies = undefined
      if (hasChanged(call)) return session.protocol.nilArray
      replies = parts.map((part) => this.#timedPart(part))
      return `*${replies.length}\r\n${replies.join('')}`
    }
    const waiting = parts.some(({ command }) => 'wait' in command)
    if (waiting) this.#stallFor(this.#execAndWait(look, () => ({ parts, replies })))
    else if (this.#attempt(places)) session.endTransaction()
    else this.#stallFor(this.#later(look).finally(() => session.endTransaction()))
  }

  async #execAndWait(
    look: () => readonly Place[],
    ran: () => { readonly parts: readonly Part[]; readonly replies: string[] | undefined },
  ): Promise<Answered> {
    const { session } = this
    try {
      const done = await stepLater(this.#server, look, this.#step, this.#gone.signal)
      const { parts, replies } = ran()
      if (replies === undefined) return { reply: this.#reply, done }
      await done.done
      session.endTransaction()
      for (const [at, { command, args, plain }] of parts.entries()) {
        if (!('wait' in command)) continue
        const call = this.#call
        call.args = args
        call.plain = plain
        try {
          replies[at] = await command.wait(call)
        } catch (error) {
          replies[at] = failure(errorLine(error))
        }
      }
      return { reply: `*${replies.length}\r\n${replies.join('')}`, done }
    } finally {
      session.endTransaction()
    }
  }

  #partsOf(queue: readonly Queued[]): Part[] {
    let { database } = this.session
    return queue.map(({ command, args, plain }) => {
      if (command.name === 'select' && /^\d{1,2}$/.test(args[1] ?? '')) database = Number(args[1])
      try {
        return {
          command,
          args,
          plain,
          targets: this.#server.databases.targets(command, args, plain, database),
        }
      } catch (error) {
        return { command, args, plain, targets: noTargets, error }
      }
    })
  }

  /** Where each command is timed by itself, that of a transaction is, too. */
  #timedPart(part: Part): string {
    const { times, clock, turn } = this.#server
    if (!times.precise || 'wait' in part.command) return this.#part(part)
    const since = clock.now()
    const reply = this.#part(part)
    const tookMs = clock.now() - since
    const { command, args } = part
    const ran = { session: this.session, command, args, times: this.#server.statsOf(command).times }
    turn.afterwards(() => times.took(ran, tookMs))
    return reply
  }

  #part({ command, args, plain, targets, error }: Part): string {
    if (error !== undefined) return failure(errorLine(error))
    if ('wait' in command) return ''
    const { turn } = this.#server
    const call = this.#call
    call.args = args
    call.plain = plain
    call.targets = targets
    const before = turn.writes
    try {
      return command.run(call)
    } catch (failed) {
      if (failed instanceof NotNamedBefore) throw failed
      turn.undoTo(before)
      return failure(errorLine(failed))
    }
  }

  #targetsOf(command: Command, args: readonly string[], plain: boolean): readonly Target[] {
    return this.#server.databases.targets(command, args, plain, this.session.database)
  }

  #stallFor(waiting: Promise<string | Answered>): void {
    this.#stalled = true
    const timed = this.#timed()
    this.#loadAhead()
    waiting
      .then(
        (answered) => {
          if (typeof answered === 'string') this.#answer(answered, undefined)
          else this.#answer(answered.reply, answered.done)
        },
        (error: unknown) => this.#fail(error),
      )
      .finally(() => {
        timed?.()
        this.#stalled = false
        this.#flush()
        this.#resume()
      })
  }

  /** From now on it is timed by itself; returns what says that it has run. */
  #timed(): (() => void) | undefined {
    const { clock, times } = this.#server
    const [command, stats] = [this.#lastCommand, this.#stats]
    if (command === undefined || stats === undefined || command.flags.includes('blocking')) {
      return undefined
    }
    // Of a transaction it would be the arguments of its last command.
    const args = command.name === 'exec' ? ['exec'] : this.#call.args
    const since = clock.now()
    return () =>
      times.took({ session: this.session, command, args, times: stats.times }, clock.now() - since)
  }

  /** Up to so many requests wait in `#ahead` then, as far as they have arrived. */
  #readAhead(most: number): void {
    if (this.#next > 0) {
      this.#ahead = this.#ahead.slice(this.#next)
      this.#next = 0
    }
    if (this.#broken !== undefined) return
    try {
      while (this.#ahead.length < most) {
        const args = this.#parser.next()
        if (args === undefined) break
        this.#ahead.push({ args, plain: this.#parser.plain })
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#broken = error
    }
  }

  /** Reads some requests, and tells `near` what they will look at. */
  readTogether(near: Near): void {
    if (this.#isWaiting()) return
    const { session } = this
    const known = this.#ahead.length - this.#next
    // Each of a stranger's requests on its own: the limits of the next one may be others.
    this.#readAhead(this.#parser.authenticated ? maxNear : 1)
    const { databases } = this.#server
    for (let at = known; at < this.#ahead.length; at++) {
      databases.expect(near, session.database, (this.#ahead[at] as Request).args)
    }
  }

  /** Loads what the commands behind the stalled one will need: together, instead of one after the other. */
  #loadAhead(): void {
    // Behind AUTH, other limits will be in force.
    if (!this.#parser.authenticated) return
    const { turn } = this.#server
    this.#readAhead(maxAhead)
    for (const { args, plain } of this.#ahead) {
      try {
        const command = this.#server.commandOf(args)
        const targets = this.#targetsOf(command, args, plain)
        for (const place of placesOf(targets)) if (!turn.knows(place)) turn.prefetch(place)
      } catch {
        // It is refused when its turn comes.
      }
    }
  }

  #answer(text: string, done: Acknowledgement | undefined): void {
    const { session } = this
    if (done?.wrote === true) session.position = Math.max(session.position, done.position)
    if (session.replies !== 'on') {
      this.#skip(done)
      // What is pushed is no reply, though it looks like one in version 2: CLIENT REPLY OFF does not hold it back.
      if (!text.startsWith('>') && !subscriptions.has(session.lastCommand)) return
    }
    this.#replies.add(text, done?.done, done?.position ?? 0)
    // What it counts as its own limits may have changed with AUTH.
    if (session.authenticated && !this.#parser.authenticated) {
      this.#parser.authenticated = true
      this.#parser.limits = this.#server.parserLimits
    }
  }

  #skip(done: Acknowledgement | undefined): void {
    const { session } = this
    done?.done?.catch(() => undefined)
    if (session.replies === 'skip') session.replies = 'on'
    else if (session.replies === 'skip next') session.replies = 'skip'
  }

  #fail(error: unknown): void {
    const line = errorLine(error)
    if (this.#stats !== undefined) this.#stats.failed++
    this.#server.failed(line, error)
    this.#answer(failure(line), undefined)
  }

  #push(text: string): void {
    this.#replies.add(text, undefined, 0)
    if (!this.#running) this.#flush()
  }

  #flush(): void {
    const socket = this.#socket
    if (socket.destroyed) return
    const ready = this.#replies.take()
    if (ready !== '') {
      this.#server.stats.outputBytes += ready.length
      if (!socket.write(ready, 'latin1')) this.#unreadSince ??= this.#server.clock.now()
    }
    if (this.outputBytes > this.#server.config.maxOutputBytes) {
      this.#server.stats.cutOff++
      this.destroy()
    } else if (this.session.closing && this.#replies.isEmpty && !this.#stalled) {
      // Not only its own half: what the client still sends is not read any more.
      socket.destroySoon()
    }
  }
}

/** A command of a transaction at EXEC. */
interface Part extends Queued {
  readonly targets: readonly Target[]
  readonly error?: unknown
}

interface Answered {
  readonly reply: string
  readonly done: Acknowledgement
}

const subscriptions = new Set(
  ['', 'p', 's'].flatMap((kind) => [`${kind}subscribe`, `${kind}unsubscribe`]),
)
const subscriberCommands = new Set([...subscriptions, 'ping', 'quit', 'reset'])

function isForSubscribers(command: Command): boolean {
  return subscriberCommands.has(command.name)
}
