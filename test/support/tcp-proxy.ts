/**
 * A TCP proxy that breaks connections at chosen moments. It acts on what it sees pass, never on time.
 */

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** Connections that are open now, from the client's side. */
  readonly connections: number
  /** Cuts both sides before the next client message that matches reaches the server. Resolves when it has struck. */
  cutBefore(pattern: RegExp): Promise<void>
  /** Lets the next matching message through and cuts the client once the server has answered, without the answer. */
  cutAfter(pattern: RegExp): Promise<void>
  /** Keeps the next matching message, and what follows on its connection, away from the server. */
  hold(pattern: RegExp): Promise<HeldConnection>
  /** From now on nothing passes on any connection, and nobody is told: a network that lost its route. */
  stall(): void
  /** Ends a stall: what was kept back goes on. */
  resume(): void
  /** Cuts every connection. New ones are served. */
  cutAll(): void
  /** Cuts every connection before the `count`-th client message from now on reaches the server. */
  cutAllBefore(count: number): Promise<void>
  /** Cuts every connection and refuses new ones until `accept`. */
  refuse(): Promise<void>
  accept(): Promise<void>
  close(): Promise<void>
}

export interface HeldConnection {
  /** The client loses its connection; the server does not notice, and still can get the message. */
  cutClient(): void
  /** Sends what was kept back to the server, as a packet that was long on its way. */
  release(): void
  /** The server loses its connection, too; what was kept back is lost. */
  cutServer(): void
}

interface Fault {
  readonly pattern: Pick<RegExp, 'test'>
  strike(link: Link, chunk: Buffer): void
}

/** Longer than any pattern: a match may lie across two chunks. */
const tailBytes = 256

export async function startProxy(targetPort: number): Promise<TcpProxy> {
  const proxy = new FaultProxy(targetPort)
  await proxy.accept()
  return proxy
}

class FaultProxy implements TcpProxy {
  port = 0
  readonly #targetPort: number
  readonly #links = new Set<Link>()
  readonly #faults: Fault[] = []
  #listener: Server | undefined
  #stalled = false

  constructor(targetPort: number) {
    this.#targetPort = targetPort
  }

  get connections(): number {
    return this.#links.size
  }

  cutBefore(pattern: RegExp): Promise<void> {
    return new Promise((resolve) => {
      this.#faults.push({
        pattern,
        strike(link) {
          link.cut()
          resolve()
        },
      })
    })
  }

  cutAfter(pattern: RegExp): Promise<void> {
    return new Promise((resolve) => {
      this.#faults.push({
        pattern,
        strike(link, chunk) {
          link.cutAtAnswer(resolve)
          link.toServer(chunk)
        },
      })
    })
  }

  hold(pattern: RegExp): Promise<HeldConnection> {
    return new Promise((resolve) => {
      this.#faults.push({
        pattern,
        strike(link, chunk) {
          link.hold(chunk)
          resolve(link)
        },
      })
    })
  }

  stall(): void {
    this.#stalled = true
    for (const link of this.#links) link.stall()
  }

  resume(): void {
    this.#stalled = false
    for (const link of this.#links) link.resume()
  }

  cutAll(): void {
    for (const link of this.#links) link.cut()
  }

  cutAllBefore(count: number): Promise<void> {
    let left = count
    return new Promise((resolve) => {
      this.#faults.push({
        pattern: { test: () => --left <= 0 },
        strike: () => {
          this.cutAll()
          resolve()
        },
      })
    })
  }

  async refuse(): Promise<void> {
    const listener = this.#listener
    this.#listener = undefined
    this.cutAll()
    if (listener === undefined) return
    const closed = once(listener, 'close')
    listener.close()
    await closed
  }

  async accept(): Promise<void> {
    if (this.#listener !== undefined) return
    const listener = createServer((client) => this.#serve(client))
    listener.listen(this.port, '127.0.0.1')
    await once(listener, 'listening')
    this.#listener = listener
    this.port = (listener.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    await this.refuse()
  }

  #serve(client: Socket): void {
    const link: Link = new Link(client, connect(this.#targetPort, '127.0.0.1'), {
      message: (text, chunk) => {
        const index = this.#faults.findIndex((fault) => fault.pattern.test(text))
        const [fault] = index < 0 ? [] : this.#faults.splice(index, 1)
        if (fault === undefined) link.toServer(chunk)
        else fault.strike(link, chunk)
      },
      ended: () => this.#links.delete(link),
    })
    this.#links.add(link)
    if (this.#stalled) link.stall()
  }
}

interface LinkListener {
  message(text: string, chunk: Buffer): void
  ended(): void
}

/** One client's connection and the one to the server that belongs to it. */
class Link implements HeldConnection {
  readonly #client: Socket
  readonly #server: Socket
  readonly #listener: LinkListener
  readonly #held: Buffer[] = []
  #holding = false
  #stalled = false
  #tail = ''
  #answered: (() => void) | undefined

  constructor(client: Socket, server: Socket, listener: LinkListener) {
    this.#client = client
    this.#server = server
    this.#listener = listener
    client.setNoDelay(true)
    server.setNoDelay(true)
    client.on('data', (chunk) => {
      if (this.#holding) {
        this.#held.push(chunk)
        return
      }
      const text = this.#tail + chunk.toString('latin1')
      this.#tail = text.slice(-tailBytes)
      listener.message(text, chunk)
    })
    server.on('data', (chunk) => {
      // What was answered is not part of the next message.
      this.#tail = ''
      if (this.#answered !== undefined) {
        this.cut()
        this.#answered()
      } else if (!client.destroyed) {
        client.write(chunk)
      }
    })
    const silent = (): boolean => this.#holding || this.#stalled
    client.on('close', () => {
      if (!silent()) this.cut()
    })
    server.on('close', () => {
      if (!silent()) this.cut()
    })
    // A broken connection is what this is about: 'close' follows.
    client.on('error', () => undefined)
    server.on('error', () => undefined)
  }

  toServer(chunk: Buffer): void {
    if (!this.#server.destroyed) this.#server.write(chunk)
  }

  cutAtAnswer(answered: () => void): void {
    this.#answered = answered
  }

  hold(chunk: Buffer): void {
    this.#holding = true
    this.#held.push(chunk)
  }

  release(): void {
    for (const chunk of this.#held.splice(0)) this.toServer(chunk)
    this.#holding = false
  }

  cutClient(): void {
    this.#client.resetAndDestroy()
  }

  cutServer(): void {
    this.cut()
  }

  stall(): void {
    this.#stalled = true
    this.#client.pause()
    this.#server.pause()
  }

  resume(): void {
    this.#stalled = false
    if (this.#client.destroyed || this.#server.destroyed) {
      this.cut()
      return
    }
    this.#client.resume()
    this.#server.resume()
  }

  cut(): void {
    this.#client.destroy()
    this.#server.destroy()
    this.#listener.ended()
  }
}
