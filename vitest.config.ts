import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{src,scripts,bin,bench,examples,test}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/e2e/**', 'test/crash/**', 'test/fuzz/**'],
    // Most of a test's time is waiting for processes of its own.
    maxWorkers: '150%',
    testTimeout: 20_000,
    setupFiles: ['test/same-cases.ts'],
    // Half a second of each process that runs the sources went by while their types were taken out of them.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled') },
  },
})
