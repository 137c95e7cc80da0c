/** What a page shows first: where it cannot be had, the page says why, and tries again by itself and at a button. */

import { h, say } from './dom.js'
import { busy } from './dialogs.js'
import { icon } from './icons.js'

const firstPauseMs = 2_000
const longestPauseMs = 30_000

/**
 * Runs `load`, and again after a pause for as long as it fails. What it does, it must bear to do again.
 *
 * @param {HTMLElement} element The page: what failed is said below its head.
 * @param {() => Promise<void>} load
 * @returns {() => void} Ends it: the page is left.
 */
export function firstLoad(element, load) {
  const text = h('span', { class: 'grow wrap' })
  const again = h('button', { class: 'button small' }, 'Try again')
  const failed = h('div', { class: 'alert is-bad', role: 'alert' }, icon('warning'), text, again)
  let pauseMs = firstPauseMs
  let isLeft = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer

  async function attempt() {
    clearTimeout(timer)
    try {
      await load()
      failed.remove()
    } catch (error) {
      if (isLeft) return
      const why = error instanceof Error ? error.message : String(error)
      say(text, `This page could not be loaded: ${why} It is tried again in ${pauseMs / 1_000} s.`)
      if (!failed.isConnected) element.querySelector('.page-head')?.after(failed)
      timer = setTimeout(() => void attempt(), pauseMs)
      pauseMs = Math.min(2 * pauseMs, longestPauseMs)
    }
  }

  again.addEventListener('click', () => busy(again, attempt))
  void attempt()
  return () => {
    isLeft = true
    clearTimeout(timer)
  }
}
