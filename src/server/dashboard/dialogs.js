/** Questions before something is done, and short notes after it was. */

import { append, h, uniqueId } from './dom.js'
import { icon } from './icons.js'

/**
 * Asks. Resolves with what was typed (`true` where nothing is asked for), or undefined where it was called off.
 *
 * @param {object} question
 * @param {string} question.title
 * @param {import('./dom.js').Child | import('./dom.js').Child[]} question.text
 * @param {string} question.action What the button that goes ahead says.
 * @param {boolean} [question.dangerous]
 * @param {{label: string, value: number, min: number, max: number}} [question.number]
 * @param {string} [question.retype] Must be typed to go ahead.
 * @returns {Promise<number | true | undefined>}
 */
export function ask({ title, text, action, dangerous = false, number, retype }) {
  const titleId = uniqueId('title')
  const go = h('button', { class: dangerous ? 'button danger' : 'button primary' }, action)
  const inputId = uniqueId('input')
  const input =
    number === undefined
      ? retype === undefined
        ? undefined
        : h('input', { id: inputId, autocomplete: 'off', autofocus: true })
      : h('input', {
          id: inputId,
          type: 'number',
          min: number.min,
          max: number.max,
          value: number.value,
          required: true,
          autofocus: true,
        })
  const label = number?.label ?? (retype === undefined ? '' : `Type ${retype} to go ahead`)
  const form = h(
    'form',
    { method: 'dialog', class: 'stack' },
    h('h2', { id: titleId }, title),
    h('div', { class: 'muted' }, text),
    input === undefined
      ? null
      : h('div', { class: 'field' }, h('label', { for: inputId }, label), input),
    h(
      'div',
      { class: 'row end' },
      h('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, 'Cancel'),
      go,
    ),
  )
  const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': titleId }, form)
  if (retype !== undefined && input !== undefined) {
    go.disabled = true
    input.addEventListener('input', () => {
      go.disabled = input.value.trim() !== retype
    })
  }
  document.body.append(dialog)
  return new Promise((resolve) => {
    /** @type {number | true | undefined} */
    let answer
    form.addEventListener('submit', () => {
      answer = number === undefined ? true : Number(input?.value)
    })
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(answer)
    })
    dialog.showModal()
  })
}

const notes = h('div', { class: 'notes', role: 'status', 'aria-live': 'polite' })

/** Where notes appear. */
export function notesElement() {
  return notes
}

/** Says that something was done. @param {string} text */
export function note(text) {
  show(text, 'good')
}

/** Says that something failed. It stays until it is closed. @param {unknown} error */
export function complain(error) {
  show(error instanceof Error ? error.message : String(error), 'bad')
}

/** @param {string} text @param {'good' | 'bad'} kind */
function show(text, kind) {
  const close = h(
    'button',
    { class: 'icon-button', 'aria-label': 'Close this note' },
    icon('close'),
  )
  const one = h('div', { class: `note is-${kind}` }, icon(kind === 'good' ? 'good' : 'warning'))
  append(one, h('span', {}, text), close)
  // What is said again takes the place of what was said.
  for (const other of notes.querySelectorAll(`.is-${kind}`)) {
    if (other.textContent === one.textContent) other.remove()
  }
  close.addEventListener('click', () => one.remove())
  notes.append(one)
  while (notes.childElementCount > 4) notes.firstElementChild?.remove()
  if (kind === 'good') setTimeout(() => one.remove(), 6_000)
}

/**
 * Runs what a button does: the button shows that it is busy, and a failure is told. Resolves with whether it was done.
 *
 * @param {HTMLButtonElement} button
 * @param {() => Promise<void>} work
 */
export async function busy(button, work) {
  if (button.getAttribute('aria-busy') === 'true') return false
  button.setAttribute('aria-busy', 'true')
  try {
    await work()
    return true
  } catch (error) {
    complain(error)
    return false
  } finally {
    button.removeAttribute('aria-busy')
  }
}
