import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { OutcomeTable } from './test/e2e/outcome-table.ts'

export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/fixtures/**'],
    reporters: ['default', new OutcomeTable()],
    globalSetup: ['test/e2e/global-setup.ts'],
    setupFiles: ['test/same-cases.ts'],
    // For commands that run the sources: half a second of each went by while their types were taken out of them.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled') },
    // Whole builds of real projects: more at once would only slow each other down, but some spend their time waiting.
    maxWorkers: 3,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
