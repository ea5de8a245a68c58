import { defineConfig } from 'vitest/config'

// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  test: { include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts'], testTimeout: 20_000 },
})
