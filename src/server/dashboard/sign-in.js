/** The page before the others: the token for a session. */

import { post } from './api.js'
import { fill, h, uniqueId } from './dom.js'

/** Why the last token was refused. */
const wrong = h('p', { class: 'error', role: 'alert' })

/** @param {HTMLElement} root @param {() => void} onSignedIn */
export function showSignIn(root, onSignedIn) {
  const inputId = uniqueId('token')
  const input = h('input', {
    id: inputId,
    type: 'password',
    autocomplete: 'current-password',
    required: true,
    autofocus: true,
    'aria-describedby': `${inputId}-help`,
  })
  const form = h(
    'form',
    {
      class: 'sign-in card stack',
      onsubmit: async (/** @type {SubmitEvent} */ event) => {
        event.preventDefault()
        wrong.textContent = ''
        try {
          await post('/api/session', { token: input.value.trim() })
          onSignedIn()
        } catch (error) {
          wrong.textContent = error instanceof Error ? error.message : String(error)
          input.select()
        }
      },
    },
    h('img', { src: '/dashboard/icon.svg', alt: '', width: 44, height: 44 }),
    h('h1', {}, 'Daybook'),
    h('div', { class: 'field' }, h('label', { for: inputId }, 'Access token'), input),
    h(
      'p',
      { class: 'muted small', id: `${inputId}-help` },
      'It is configured as http.token, or was shown when the server started.',
    ),
    wrong,
    h('button', { class: 'button primary wide' }, 'Sign in'),
  )
  fill(root, h('main', { class: 'sign-in-page' }, form))
  input.focus()
}

/**
 * A link from the terminal has the token behind its `#`, which is never sent: it is exchanged and taken out of the address.
 *
 * @returns {Promise<void>}
 */
export async function signInByLink() {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1]
  if (token === undefined) return
  history.replaceState(null, '', location.pathname)
  try {
    await post('/api/session', { token: decodeURIComponent(token) })
  } catch (error) {
    // The page to sign in comes next, and says so.
    wrong.textContent = error instanceof Error ? error.message : String(error)
  }
}
