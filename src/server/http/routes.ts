/** Every route of the server but the dashboard's own files. */

import { deadLetterRoutes } from './dead-letter-routes.ts'
import { keyRoutes } from './key-routes.ts'
import { openApi } from './openapi.ts'
import { operationRoutes } from './operation-routes.ts'
import type { Route } from './route.ts'
import { sessionRoutes } from './session-routes.ts'
import { statusRoutes } from './status-routes.ts'

/** Those with fixed paths come before those that take a parameter in the same place. */
const described: readonly Route[] = [
  ...statusRoutes,
  ...sessionRoutes,
  ...keyRoutes,
  ...deadLetterRoutes,
  ...operationRoutes,
]

const description: Route = {
  method: 'GET',
  path: '/api/openapi.json',
  open: true,
  tag: 'health',
  summary: 'This description.',
  result: { description: 'OpenAPI 3.1.', schema: { type: 'object' } },
  handle: ({ server: { version } }) => ({
    // Plain: under the tags of values `$ref` would be another name.
    text: JSON.stringify(openApi(routes, version)),
    type: 'application/json; charset=utf-8',
  }),
}

export const routes: readonly Route[] = [...described, description]
