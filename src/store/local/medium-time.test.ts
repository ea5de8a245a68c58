import { availableParallelism } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { mediumTimer } from './medium-time.ts'

test('what this process works meanwhile is not the time of the medium', () => {
  const start = performance.now()
  const cpu = process.cpuUsage()
  const tookMs = mediumTimer()
  while (process.cpuUsage(cpu).user < 40_000) Math.sqrt(performance.now())
  const took = tookMs()
  const wallMs = performance.now() - start
  expect(took).toBeLessThan(wallMs - 35 / availableParallelism())
  expect(took).toBeGreaterThan(0)
})

test('what it waits is', async () => {
  const before = process.cpuUsage()
  const tookMs = mediumTimer()
  await wait(100)
  const took = tookMs()
  // Less only by what the process worked meanwhile.
  const { user, system } = process.cpuUsage(before)
  expect(took).toBeGreaterThan(99 - (user + system) / 1000)
  expect(took).toBeGreaterThan(10)
})
