import { expect, onTestFinished, test } from 'vitest'
import { inspectStore } from '../../src/operate/inspect.ts'
import { change, fill, hits, largeFile } from '../../src/operate/operate.fixture.ts'
import { repairStore } from '../../src/operate/repair.ts'
import { layoutOf, segmentPath } from '../../src/store/local/layout.ts'
import { otherProcess, temporaryFolder } from '../../src/store/local/temporary-store.fixture.ts'

test('killed at any of its writes, it leaves a store that another repair makes well', async () => {
  let kills = 0
  for (let step = 1; step <= 14; step++) {
    const dir = temporaryFolder(onTestFinished)
    await fill(dir)
    change(segmentPath(layoutOf(dir), 1), 500, 2_000)
    change(largeFile(dir), 5, 5)
    const url = JSON.stringify(new URL('../../src/operate/repair.ts', import.meta.url).href)
    const body = `
      const fs = (await import('node:module')).createRequire(import.meta.url)('node:fs')
      const { syncBuiltinESMExports } = await import('node:module')
      let left = ${step}
      for (const name of ['renameSync', 'writeSync', 'rmSync', 'mkdirSync', 'writeFileSync', 'unlinkSync']) {
        const real = fs[name]
        fs[name] = (...args) => { if (--left === 0) process.kill(process.pid, 'SIGKILL'); return real(...args) }
      }
      syncBuiltinESMExports()
      const { repairStore } = await import(${url})
      await repairStore(dir)`
    await otherProcess(dir, body, onTestFinished).catch((error: Error) => {
      // Ended without a code: by the signal.
      expect(error.message).toMatch(/ended: null$/)
      kills++
    })
    await repairStore(dir)
    const report = await inspectStore(dir)
    expect([report.faults, report.lost.results]).toEqual([[], []])
    expect((await hits(dir)).every((name) => ['b', 'c'].includes(name))).toBe(true)
  }
  expect(kills).toBeGreaterThan(8)
})
