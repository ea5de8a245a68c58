import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/crash/**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    fileParallelism: false,
    setupFiles: ['test/same-cases.ts'],
    testTimeout: 300_000,
    hookTimeout: 60_000,
  },
})
