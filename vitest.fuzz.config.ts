import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/fuzz/**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    globalSetup: ['test/e2e/global-setup.ts'],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 120_000,
  },
})
