/** Light, dark, or as the system is. The choice is kept in this browser. */

import { fill, h } from './dom.js'
import { icon } from './icons.js'

const themes = /** @type {const} */ (['auto', 'light', 'dark'])
const names = { auto: 'as the system', light: 'light', dark: 'dark' }
const button = h('button', { class: 'icon-button' })

/** @returns {(typeof themes)[number]} */
function current() {
  const chosen = document.documentElement.dataset.theme
  return chosen === 'light' || chosen === 'dark' ? chosen : 'auto'
}

export function nextTheme() {
  const next = themes[(themes.indexOf(current()) + 1) % themes.length] ?? 'auto'
  if (next === 'auto') {
    delete document.documentElement.dataset.theme
    localStorage.removeItem('daybook-theme')
  } else {
    document.documentElement.dataset.theme = next
    localStorage.setItem('daybook-theme', next)
  }
  show()
}

function show() {
  const theme = current()
  fill(button, icon(theme))
  const label = `Theme: ${names[theme]}`
  button.setAttribute('aria-label', label)
  button.title = label
}

export function themeButton() {
  button.addEventListener('click', nextTheme)
  show()
  return button
}
