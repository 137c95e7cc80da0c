/** Every bench by name, loaded when it is asked for: a side's process holds nothing that it does not measure. */

import type { Bench } from './bench.ts'

export const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  'durable-set': async () => (await import('./durable-set.bench.ts')).bench,
  latency: async () => (await import('./latency.bench.ts')).bench,
  'cached-get': async () => (await import('./cached-get.bench.ts')).bench,
  'drain-postgres': async () => (await import('./drain-postgres.bench.ts')).bench,
  'drain-sqlite': async () => (await import('./drain-sqlite.bench.ts')).bench,
  'hot-keys': async () => (await import('./hot-keys.bench.ts')).bench,
  recovery: async () => (await import('./recovery.bench.ts')).bench,
  'redis-protocol': async () => (await import('./redis-protocol.bench.ts')).bench,
  outage: async () => (await import('./outage.bench.ts')).bench,
}
