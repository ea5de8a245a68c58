import { defineConfig } from 'vitest/config'

/** Kills, damage and crowds: real processes on real folders. One file at a time, so that each has the machine to itself. */
// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  test: { include: ['test/crash/**/*.test.ts'], testTimeout: 60_000, fileParallelism: false },
})
