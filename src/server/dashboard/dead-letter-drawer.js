/** One dead letter: what it would write, what is there now, why it was refused, and what to do with it. */

import { get, post } from './api.js'
import { tell } from './dead-letters-page.js'
import { ask, busy, note } from './dialogs.js'
import { append, fill, h, uniqueId } from './dom.js'
import { ago, count, counted, moment } from './format.js'
import { icon } from './icons.js'
import { differenceTable, kindChip, mutationName } from './values.js'

/** @typedef {import('./api.js').DeadLetter} DeadLetter */

const timeoutMs = 30_000

/** @param {DeadLetter} letter @param {() => void} onChange */
export function letterDrawer(letter, onChange) {
  const titleId = uniqueId('letter')
  const content = h('div', { class: 'stack' })
  const close = h('button', { class: 'icon-button', 'aria-label': 'Close' }, icon('close'))
  const dialog = h(
    'dialog',
    { class: 'drawer', 'aria-labelledby': titleId },
    h(
      'header',
      { class: 'drawer-head' },
      h(
        'div',
        { class: 'grow' },
        h('p', { class: 'muted small' }, `Dead letter ${letter.id}`),
        h('h2', { id: titleId, class: 'mono wrap' }, `${letter.cache} ${letter.key}`),
      ),
      close,
    ),
    content,
  )
  const done = () => {
    dialog.close()
    onChange()
  }
  close.addEventListener('click', () => dialog.close())
  dialog.addEventListener('click', (event) => {
    // A link may lead to where the page is already, of which nobody would hear.
    const target = /** @type {Element} */ (event.target)
    if (target === dialog || target.closest('a') !== null) dialog.close()
  })
  dialog.addEventListener('close', () => dialog.remove())
  document.body.append(dialog)
  dialog.showModal()
  const difference = h('div', {}, h('p', { class: 'muted' }, 'Reading the current row…'))
  fill(
    content,
    errorOf(letter),
    letter.superseded === true
      ? h(
          'div',
          { class: 'alert is-warn' },
          icon('warning'),
          h(
            'span',
            {},
            'A newer value of this key is in the database. A retry would overwrite it.',
          ),
        )
      : null,
    h(
      'section',
      { class: 'stack' },
      h('h3', {}, 'Write and current row'),
      kindChip(letter.mutation),
      difference,
    ),
    h('section', {}, h('h3', {}, 'What happened'), timeline(letter)),
    actions(letter, done),
  )
  void showDifference(letter, difference)
}

/** @param {DeadLetter} letter */
function errorOf({ reason, failure, behind, cache }) {
  if (reason === 'parked') {
    const link = `#/dead-letters?cache=${encodeURIComponent(cache)}`
    return h(
      'div',
      { class: 'alert is-warn' },
      icon('warning'),
      h(
        'span',
        {},
        `Parked behind dead letter ${behind ?? ''}: it is retried with that one, in order. `,
        h('a', { href: link }, 'See those of the cache'),
      ),
    )
  }
  return h(
    'div',
    { class: 'alert is-bad' },
    icon('warning'),
    h(
      'span',
      { class: 'wrap' },
      h('strong', { class: 'mono' }, failure.code),
      ` ${failure.message}`,
    ),
  )
}

/** @param {DeadLetter} letter @param {HTMLElement} place */
async function showDifference({ id, mutation }, place) {
  try {
    const { value } = await get(`/api/dead-letters/${encodeURIComponent(id)}/current`)
    fill(place, differenceTable(mutation, { value }))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    fill(
      place,
      differenceTable(mutation, { unknown: reason }),
      h('p', { class: 'muted small wrap' }, `The current row is not known: ${reason}`),
    )
  }
}

/** @param {DeadLetter} letter */
function timeline({ writtenAtMs, deadAtMs, attempts, retryOf, lane, position, group }) {
  const items = [
    ...(writtenAtMs === undefined ? [] : [['Written', moment(writtenAtMs)]]),
    ['Position', `${count(position)} of lane ${lane}`],
    ['Refused', attempts === 1 ? 'once' : `${count(attempts)} times`],
    ['Dead letter since', `${moment(deadAtMs)} (${ago(deadAtMs, Date.now())})`],
    ...(retryOf === undefined ? [] : [['Retry of', retryOf]]),
    ...(group === undefined ? [] : [['Atomic batch of', group]]),
  ]
  return h(
    'dl',
    { class: 'facts' },
    items.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
  )
}

/** @param {DeadLetter} letter @param {() => void} done */
function actions(letter, done) {
  const { id, cache, key, mutation, superseded } = letter
  const retry = h('button', { class: 'button primary' }, 'Retry')
  const edit = h('button', { class: 'button' }, 'Edit and retry')
  const discard = h('button', { class: 'button danger' }, 'Discard…')
  const editor = h('div', {})
  retry.addEventListener('click', async () => {
    if (superseded === true) {
      const answer = await ask({
        title: 'Overwrite the newer value?',
        text: 'The key has been written since. Retrying this letter goes back in time.',
        action: 'Overwrite it',
        dangerous: true,
      })
      if (answer === undefined) return
    }
    await busy(retry, async () => {
      const force = superseded === true
      tell(await post('/api/dead-letters/retry', { ids: [id], force, timeoutMs }))
      done()
    })
  })
  discard.addEventListener('click', async () => {
    const answer = await ask({
      title: `Discard the write of ${key}?`,
      text: 'It is given up for good and will never be in the database.',
      action: 'Discard it',
      dangerous: true,
    })
    if (answer === undefined) return
    await busy(discard, async () => {
      await post('/api/dead-letters/discard', { ids: [id], confirm: 1 })
      note(`Discarded ${counted(1, 'dead letter')}.`)
      done()
    })
  })
  // Nothing can be put in the place of what takes away.
  if (mutation.kind === 'delete' || mutation.removed !== undefined) edit.hidden = true
  edit.addEventListener('click', () => {
    edit.hidden = true
    retry.hidden = true
    append(
      editor,
      editForm(letter, done, () => {
        fill(editor)
        edit.hidden = false
        retry.hidden = false
        edit.focus()
      }),
    )
    editor.querySelector('textarea')?.focus()
  })
  return h(
    'section',
    { class: 'stack' },
    editor,
    h(
      'div',
      { class: 'row' },
      retry,
      edit,
      discard,
      h(
        'a',
        {
          class: 'button',
          href: `#/keys?cache=${encodeURIComponent(cache)}&key=${encodeURIComponent(key)}`,
        },
        'Inspect the key',
      ),
    ),
  )
}

/**
 * The same kind of write with other content, as JSON.
 *
 * @param {DeadLetter} letter
 * @param {() => void} done
 * @param {() => void} cancel
 */
function editForm({ id, mutation }, done, cancel) {
  const name = mutationName(mutation)
  const content = name === 'increment' ? mutation.amounts : mutation.fields
  const areaId = uniqueId('content')
  const wrong = h('p', { class: 'error', role: 'alert' })
  const area = h('textarea', {
    id: areaId,
    rows: Math.min(16, Object.keys(content ?? {}).length + 3),
    spellcheck: 'false',
    class: 'mono',
  })
  area.value = JSON.stringify(content, undefined, 2)
  const save = h('button', { class: 'button primary' }, 'Write this instead')
  return h(
    'form',
    {
      class: 'stack card sunken',
      onsubmit: async (/** @type {SubmitEvent} */ event) => {
        event.preventDefault()
        wrong.textContent = ''
        const parsed = parsedObject(area.value)
        if (typeof parsed === 'string') {
          wrong.textContent = parsed
          return
        }
        await busy(save, async () => {
          try {
            const path = `/api/dead-letters/${encodeURIComponent(id)}/edit`
            tell(await post(path, { [name]: parsed, timeoutMs }))
          } catch (error) {
            wrong.textContent = error instanceof Error ? error.message : String(error)
            return
          }
          done()
        })
      },
    },
    h(
      'div',
      { class: 'field' },
      h('label', { for: areaId }, `Columns of the ${name}, as JSON`),
      area,
    ),
    wrong,
    h(
      'div',
      { class: 'row' },
      save,
      h('button', { type: 'button', class: 'button', onclick: cancel }, 'Cancel'),
    ),
  )
}

/** The object, or what is wrong with the text. @param {string} text @returns {Record<string, unknown> | string} */
function parsedObject(text) {
  try {
    const value = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
    return 'It must be an object of columns, such as {"name": "Ada"}.'
  } catch (error) {
    return `This is not JSON: ${error instanceof Error ? error.message : String(error)}`
  }
}
