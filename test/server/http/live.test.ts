/** Live figures: what is kept, what is streamed, and to how many. */

import { request, type IncomingMessage } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { mismatch } from '../../../src/server/http/json-schema.ts'
import { LiveFigures, type Figures, type Happening } from '../../../src/server/http/live-figures.ts'
import { streamSchemas } from '../../../src/server/http/status-routes.ts'
import { openIn, user, world, type User } from '../../support/book-fixture.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { refuse, serve, token } from './http-fixture.ts'

interface Stream {
  readonly response: IncomingMessage
  /** The next event of this name, as it comes. */
  next(name: string): Promise<unknown>
  /** All that has come. */
  text(): string
  close(): void
}

function follow(url: string, headers: Record<string, string> = {}): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const all = { authorization: `Bearer ${token}`, ...headers }
    const asked = request(`${url}/api/live`, { headers: all, agent: false }, (response) => {
      let text = ''
      let taken = 0
      let look = (): void => undefined
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
        look()
      })
      response.on('error', () => undefined)
      resolve({
        response,
        text: () => text,
        close: () => asked.destroy(),
        next: (name) =>
          new Promise((found) => {
            look = () => {
              const event = new RegExp(`event: ${name}\\ndata: (.*)\\n\\n`, 'g')
              event.lastIndex = taken
              const match = event.exec(text)
              if (match === null) return
              taken = event.lastIndex
              look = () => undefined
              found(JSON.parse(match[1] ?? ''))
            }
            look()
          }),
      })
    })
    asked.on('error', reject)
    asked.end()
    onTestFinished(() => void asked.destroy())
  })
}

describe('the stream', () => {
  it('begins with the figures of this moment and goes on with those of each second', async () => {
    const clock = new ManualClock()
    const { http } = await serve({ clock })
    const stream = await follow(http.url)
    expect(stream.response.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    const first = await stream.next('figures')
    expect(mismatch(streamSchemas.figures, first, 'figures')).toBeUndefined()
    const next = stream.next('figures')
    await clock.advance(1_000)
    expect((await next) as Figures).toMatchObject({ stats: { state: 'open' }, problems: [] })
    expect(stream.text()).toContain('retry: 2000\n\n')
  })

  it('tells at once what happens, without keys or values', async () => {
    const { http, users, store } = await serve()
    const stream = await follow(http.url)
    const refused = stream.next('happened')
    refuse(store, 'Mallory')
    await users.set('a-secret-key', user('Mallory'))
    const happened = await refused
    expect(mismatch(streamSchemas.happening, happened, 'happened')).toBeUndefined()
    expect(happened).toMatchObject({ name: 'deadLettered', message: /^1 write was refused: / })
    expect(JSON.stringify(happened)).not.toContain('a-secret-key')
  })

  it('goes to so many and no more, and to another one when one has left', async () => {
    const { http, api } = await serve({ http: { limits: { liveClients: 1 } } })
    const one = await follow(http.url)
    const refused = await api('GET', '/api/live')
    expect([refused.status, refused.json]).toMatchObject([
      503,
      { error: { code: 'TOO_MANY_CLIENTS' } },
    ])
    one.close()
    await expect.poll(async () => (await follow(http.url)).response.statusCode).toBe(200)
  })

  it('beats where nothing else is sent, and lets go of one that does not read', async () => {
    const clock = new ManualClock()
    const { http, book } = await serve({ clock })
    const stream = await follow(http.url)
    await stream.next('figures')
    // Figures that fill every buffer on the way to a reader that has stopped.
    stream.response.pause()
    const large = 'x'.repeat(1_000_000)
    const stats = book.stats.bind(book)
    book.stats = () => ({ ...stats(), large }) as ReturnType<typeof book.stats>
    const closed = new Promise((resolve) => stream.response.socket.once('close', resolve))
    for (let second = 0; second < 90; second++) await clock.advance(1_000)
    book.stats = stats
    stream.response.resume()
    await closed
    expect(stream.response.complete).toBe(false)
  })

  it('ends when the server closes', async () => {
    const { http } = await serve()
    const stream = await follow(http.url)
    await stream.next('figures')
    const ended = new Promise((resolve) => stream.response.once('close', resolve))
    await http.close()
    await ended
  })
})

describe('the history', () => {
  async function followed(readyLagMs = 60_000) {
    const clock = new ManualClock()
    const { book, store } = await openIn(world(1, { clock }))
    const users = book.cache<User>('users', { table: 'users', key: 'id' })
    await users.ready()
    const live = new LiveFigures(book, clock, readyLagMs)
    onTestFinished(async () => {
      live.close()
      book.resume()
      const closing = book.close({ drainTimeoutMs: 0 })
      await clock.advance(1_000)
      await closing
    })
    return { clock, book, store, users, live }
  }

  it('has one sample a second for ten minutes, and the half minutes of six hours', async () => {
    const { clock, live } = await followed()
    for (let minute = 0; minute < 11; minute++) await clock.advance(60_000)
    expect(live.samples).toHaveLength(600)
    expect(live.coarse).toHaveLength(22)
    const times = live.samples.map(({ atMs }) => atMs)
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBe(599_000)
  })

  it('has rates of the time since the sample before, and the slowest flush in it', async () => {
    const { clock, live, users, book } = await followed()
    await clock.advance(1_000)
    for (let at = 0; at < 10; at++) await users.set('hot', user(`n${at}`))
    const flushing = book.flush()
    await clock.advance(1_000)
    await flushing
    const sample = live.samples.at(-1)
    expect(sample).toMatchObject({ writesPerSecond: 10, flushedPerSecond: 10, rowsPerSecond: 1 })
    expect(sample?.flushMaxMs).toBeTypeOf('number')
    await clock.advance(1_000)
    expect(live.samples.at(-1)).toMatchObject({ writesPerSecond: 0, flushMaxMs: null })
  })

  it('has the greatest lag of a second, which a look at its end would miss', async () => {
    const { clock, live, users, book } = await followed(300)
    await clock.advance(1_000)
    book.pause()
    await users.set('1', user('Ada'))
    await clock.advance(900)
    expect(live.now().problems.map(({ code }) => code)).toEqual(['LAG', 'PAUSED'])
    book.resume()
    await book.flush()
    await clock.advance(100)
    expect(live.samples.at(-1)).toMatchObject({ pending: 0, lagMs: 800 })
  })

  it('keeps what happened, the newest last, and not without end', async () => {
    const { live, users, book, store } = await followed()
    const seen: Happening[] = []
    live.follow({ figures: () => undefined, happened: (happening) => seen.push(happening) })
    refuse(store, 'Mallory')
    for (let at = 0; at < 210; at++) {
      await users.set(`m${at}`, user('Mallory'))
      await book.flush()
    }
    expect(live.happenings).toHaveLength(200)
    expect(live.happenings.at(-1)).toEqual(seen.at(-1))
  })

  it('has a sentence for each thing that may happen', async () => {
    const { live, users, book, store, clock } = await followed()
    store.inject({ at: 'begin' })
    await users.set('1', user('Ada'))
    await clock.advance(100)
    await book.flush()
    const names = live.happenings.map(({ name }) => name)
    expect(names).toEqual(['storeDown', 'storeUp'])
    expect(live.happenings[0]?.message).toMatch(/^The store is not reachable: /)
    expect(live.happenings[1]?.message).toMatch(/^The store answers again after \d/)
  })
})
