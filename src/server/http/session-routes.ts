/** Signing in and out, for browsers: the token is exchanged for a cookie that no script can read. */

import { RequestError } from './request-error.ts'
import type { Route } from './route.ts'
import { request, text } from './schemas.ts'

export const sessionRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/api/session',
    open: true,
    tag: 'session',
    summary: 'Signs a browser in: the token for a cookie.',
    body: request({ token: text }),
    result: { description: 'Signed in; the cookie is set.' },
    handle: async ({ server: { sessions, audit }, body, address }) => {
      // Noted only when it is right: who does not know the token must not fill the audit log.
      if (!sessions.isToken(String(body.token), address)) {
        throw new RequestError('UNAUTHORIZED', 'This is not the token.')
      }
      const entry = { action: 'POST /api/session', by: 'token', address, details: {} } as const
      const cookie = await audit.around(entry, async () => sessions.begin(), String)
      return { status: 204, cookie }
    },
  },
  {
    method: 'DELETE',
    path: '/api/session',
    tag: 'session',
    summary: 'Signs a browser out.',
    result: { description: 'Signed out.' },
    audit: () => ({}),
    handle: ({ server: { sessions }, session }) => ({
      status: 204,
      ...(session === undefined ? {} : { cookie: sessions.end(session) }),
    }),
  },
]
