/**
 * The live figures: what was, from the server's history, and what is, from its stream. Every view reads them here.
 */

import { get } from './api.js'

/** @typedef {import('./api.js').Figures} Figures */
/** @typedef {import('./api.js').Sample} Sample */
/** @typedef {import('./api.js').Happening} Happening */

const maxSamples = 600
const maxCoarse = 720
const maxHappenings = 200

export class Live extends EventTarget {
  /** @type {Figures | undefined} */
  figures
  /** @type {Sample[]} */
  samples = []
  /** @type {Sample[]} */
  coarse = []
  /** @type {Happening[]} */
  happenings = []
  /** The stream is open; undefined before that is known. @type {boolean | undefined} */
  connected
  /** @type {EventSource | undefined} */
  #source

  /** Loads the history and begins to follow. */
  async start() {
    this.stop()
    const history = /** @type {import('./api.js').History} */ (await get('/api/history'))
    this.samples = history.samples
    this.coarse = history.coarse
    this.happenings = history.happenings
    const source = new EventSource('/api/live')
    this.#source = source
    source.addEventListener('figures', (event) => this.#take(JSON.parse(event.data)))
    source.addEventListener('happened', (event) => {
      keep(this.happenings, JSON.parse(event.data), maxHappenings)
      this.dispatchEvent(new Event('happened'))
    })
    source.addEventListener('open', () => this.#connect(true))
    source.addEventListener('error', () => {
      this.#connect(false)
      // Refused, and not only cut off: the browser does not try again, so the session is asked for.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.#again(source), 2_000)
    })
  }

  stop() {
    this.#source?.close()
    this.#source = undefined
  }

  /** @param {EventSource} source */
  async #again(source) {
    if (this.#source !== source) return
    try {
      await this.start()
    } catch {
      // Signed out, which the call has told already; or away, and then this is tried again.
      if (this.#source === undefined) {
        this.#source = source
        setTimeout(() => this.#again(source), 2_000)
      }
    }
  }

  /** @param {boolean} connected */
  #connect(connected) {
    if (this.connected === connected) return
    this.connected = connected
    this.dispatchEvent(new Event('connection'))
  }

  /** @param {Figures} figures */
  #take(figures) {
    this.#connect(true)
    this.figures = figures
    keep(this.samples, figures.sample, maxSamples)
    const last = this.coarse.at(-1)
    if (last === undefined || figures.sample.atMs - last.atMs >= 30_000) {
      keep(this.coarse, figures.sample, maxCoarse)
    }
    this.dispatchEvent(new Event('figures'))
  }
}

/** @template Item @param {Item[]} list @param {Item} item @param {number} max */
function keep(list, item, max) {
  list.push(item)
  if (list.length > max) list.shift()
}
