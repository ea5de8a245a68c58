import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { capture } from '../../src/action/outputs/capture.ts'
import { type Checkout, openCheckout, readTree } from '../../src/action/outputs/restore.fixture.ts'
import { rollForward } from '../../src/action/outputs/roll-forward.ts'
import { ActionResult } from '../../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'

const ROUNDS = 24

function version(n: number): Record<string, string> {
  const files: Record<string, string> = { [`dist/only-${n}/x.js`]: `${n}`, 'dist/link': `->only-${n}` }
  for (let i = 0; i < 400; i++) files[`dist/d${i % 7}/f${i}.js`] = i % 3 === 0 ? 'same' : `${n} ${i}`
  return files
}

/** Kills the child at a random moment: every other time at any one, else shortly after its first change. */
async function killedRestore({ sandbox, root }: Checkout, round: number): Promise<void> {
  const watcher = watch(join(root, 'dist/only-2'))
  const firstChange = once(watcher, 'change')
  const child = spawn(process.execPath, [join(import.meta.dirname, 'restore-child.ts'), sandbox], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  await once(child.stdout, 'data')
  if (round % 2 === 0) await Promise.race([firstChange, exited])
  await setTimeout((round % 2 === 0 ? 8 : 200) * Math.random())
  child.kill('SIGKILL')
  await exited
  watcher.close()
}

async function emptied(checkout: Checkout): Promise<void> {
  rmSync(join(checkout.root, 'dist'), { recursive: true, force: true })
}

test('a restore that is killed at any moment is whole or absent after the next run', async () => {
  const ends = { old: 0, rolledForward: 0, whole: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    const checkout = await openCheckout()
    const outputs = checkout.outputs('dist')
    checkout.write(version(1))
    const { result } = await checkout.keep(outputs)
    writeFileSync(join(checkout.sandbox, 'result'), ActionResult.encode(result).finish())
    await emptied(checkout)
    checkout.write(version(2))
    await checkout.keep(outputs)
    const before = readTree(checkout.root)
    await checkout.store[Symbol.asyncDispose]()

    await killedRestore(checkout, round)

    await using again = await openCheckout({ sandbox: checkout.sandbox })
    const done = await rollForward(again.workspace)
    expect(done === 'none' || done === 'done').toBe(true)
    const now = readTree(again.root)
    if (JSON.stringify(now) === JSON.stringify(before)) ends.old++
    else {
      expect(now).toEqual(readBack(version(1)))
      if (done === 'done') ends.rolledForward++
      else ends.whole++
    }
    expect(readdirSync(join(again.workspace.cacheDir, 'tmp')).filter((name) => name.startsWith('restore-'))).toEqual([])
    expect(readdirSync(again.root)).toEqual(['dist'])
    expect(await capture(again.workspace, outputs)).toMatchObject({ kind: 'captured' })
    rmSync(checkout.sandbox, { recursive: true, force: true })
  }
  // Which moments were hit is chance; that the ones which matter were among them is not.
  expect(ends.rolledForward).toBeGreaterThan(0)
})

function readBack(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)))
}
