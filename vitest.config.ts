import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // What is polled for comes when the machine has time for it.
    expect: { poll: { timeout: 20_000 } },
    pool: 'forks',
    maxWorkers: 2,
    // `npm run coverage`: what must not lose anything, by its branches. docs/testing.md explains the rest.
    coverage: {
      provider: 'v8',
      include: ['src/journal/**', 'src/flush/**', 'src/book/open.ts', 'src/book/state-file.ts'],
      reporter: ['text'],
      thresholds: {
        'src/journal/**': { branches: 95 },
        'src/flush/**': { branches: 95 },
      },
    },
  },
})
