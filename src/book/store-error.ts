/** A store's error as a caller of the library sees it. */

import { DaybookError, isDaybookError, type ErrorCode } from '../base/errors.ts'
import type { FailureKind, Store, StoreFailure } from '../store/store.ts'

const codeOf: Record<FailureKind, ErrorCode> = {
  outage: 'STORE_UNAVAILABLE',
  conflict: 'STORE_CONFLICT',
  rejected: 'STORE_REJECTED',
  misconfigured: 'STORE_MISCONFIGURED',
  fenced: 'FENCED',
}

export function storeError(store: Store, error: unknown): DaybookError {
  return isDaybookError(error) ? error : failureError(store, store.classify(error), error)
}

export function failureError(store: Store, failure: StoreFailure, cause: unknown): DaybookError {
  return new DaybookError(codeOf[failure.kind], `${store.name}: ${failure.message}`, {
    cause,
    details: { store: store.name, code: failure.code, kind: failure.kind },
  })
}
