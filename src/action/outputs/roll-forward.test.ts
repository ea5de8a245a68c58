import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLocalStore } from '../../store/local/local-store.ts'
import type { Workspace } from '../workspace.ts'
import { capture } from './capture.ts'
import { type Checkout, type KeptResult, openCheckout } from './restore.fixture.ts'
import { restore } from './restore.ts'
import { decodeRestoreRecord, type Step, unfinishedRestores } from './restore-record.ts'
import { takeSteps } from './restore-steps.ts'
import { rollForward } from './roll-forward.ts'

const OLD = {
  'dist/same.js': 'same',
  'dist/changed.js': 'old',
  'dist/link': '->same.js',
  'dist/stale/a.js': 'stale',
  'dist/was-file': 'file',
  'dist/tool.sh': 'tool',
}
const NEW = {
  'dist/same.js': 'same',
  'dist/changed.js': 'new',
  'dist/link': '->changed.js',
  'dist/fresh/deep/b.js': 'b',
  'dist/was-file/c.js': 'c',
  'dist/tool.sh*': 'tool',
}

describe('a restore that was killed', () => {
  test('after any of its steps is completed', async () => {
    for (let taken = 0; ; taken++) {
      await using crashed = await crash()
      if (taken > crashed.steps.length) break
      takeSteps(crashed.root, crashed.steps.slice(0, taken))
      expect(await rollForward(crashed.workspace)).toBe('done')
      expect(crashed.checkout.read()).toEqual({ ...NEW })
      expect(crashed.checkout.trash()).toEqual({ 'dist/mine.txt': 'mine' })
      expect(readdirSync(crashed.workspace.tmpDir)).toEqual([])
      expect(await rollForward(crashed.workspace)).toBe('none')
      expect(await again(crashed)).toMatchObject({ written: 0 })
    }
  })

  test('is not captured before that', async () => {
    await using crashed = await crash()
    takeSteps(crashed.root, crashed.steps.slice(0, 3))
    expect(await capture(crashed.workspace, crashed.outputs)).toMatchObject({ kind: 'unkeepable' })
    expect(await capture(crashed.workspace, crashed.checkout.outputs('elsewhere'))).toMatchObject({ kind: 'missing' })
    await rollForward(crashed.workspace)
    expect(await capture(crashed.workspace, crashed.outputs)).toMatchObject({ kind: 'captured' })
  })

  test('leaves a file alone that was changed since, and says so once', async () => {
    await using crashed = await crash()
    writeFileSync(join(crashed.root, 'dist/changed.js'), 'edited after the crash')
    expect(await rollForward(crashed.workspace)).toEqual({ blocked: expect.stringContaining('dist/changed.js') })
    expect(crashed.checkout.read()).toEqual({ ...NEW, 'dist/changed.js': 'edited after the crash' })
    expect(await rollForward(crashed.workspace)).toBe('none')
    const outcome = await again(crashed)
    expect(outcome).toMatchObject({ kind: 'restored', trashed: ['dist/changed.js'] })
  })

  test('leaves a stale file alone that was changed since', async () => {
    await using crashed = await crash()
    writeFileSync(join(crashed.root, 'dist/stale/a.js'), 'edited')
    await rollForward(crashed.workspace)
    expect(crashed.checkout.read()).toEqual({ ...NEW, 'dist/stale/a.js': 'edited' })
  })

  test('says so when what it had staged is gone', async () => {
    await using crashed = await crash()
    for (const name of readdirSync(crashed.workspace.tmpDir)) {
      rmSync(join(crashed.workspace.tmpDir, name), { recursive: true })
    }
    expect(await rollForward(crashed.workspace)).toHaveProperty('blocked')
    await again(crashed)
    expect(crashed.checkout.read()).toEqual(NEW)
  })

  test('is not rolled forward by another workspace', async () => {
    await using crashed = await crash()
    const other = { ...crashed.workspace, root: join(crashed.checkout.sandbox, 'home/project2') }
    expect(await rollForward(other)).toBe('none')
    expect(crashed.checkout.read()['dist/changed.js']).toBe('old')
  })

  test('never makes a folder of another kind disappear with its staging', async () => {
    await using crashed = await crash()
    const { records } = crashed.workspace
    const [name] = unfinishedRestores(crashed.workspace) as [string]
    const { encodeRestoreRecord } = await import('./restore-record.ts')
    const bytes = encodeRestoreRecord({
      folder: crashed.root,
      steps: [],
      outputs: { stats: new Uint8Array(0), digests: new Uint8Array(0) },
    })
    await records.save('restore', name, bytes)
    expect(await rollForward(crashed.workspace)).toBe('done')
    expect(existsSync(join(crashed.root, 'dist/same.js'))).toBe(true)
  })
})

function again({ workspace, outputs, kept }: Crashed) {
  return restore(workspace, outputs, kept.result, kept.digest)
}

interface Crashed extends AsyncDisposable {
  readonly checkout: Checkout
  readonly root: string
  /** With leases of its own, since those of the dead process are held by this very process. */
  readonly workspace: Workspace
  readonly outputs: ReturnType<Checkout['outputs']>
  readonly kept: KeptResult
  readonly steps: readonly Step[]
}

/** The state right after the steps were written down and before the first of them was taken. */
async function crash(): Promise<Crashed> {
  const checkout = await openCheckout()
  const { workspace, root } = checkout
  const outputs = checkout.outputs('dist')
  checkout.write(NEW)
  const kept = await checkout.keep(outputs)
  checkout.remove('dist')
  checkout.write(OLD)
  await checkout.keep(outputs)
  checkout.write({ 'dist/mine.txt': 'mine' })
  const steps = await new Promise<readonly Step[]>((resolve) => {
    const { records } = workspace
    const save: typeof records.save = async (kind, name, bytes) => {
      await records.save(kind, name, bytes)
      const record = kind === 'restore' ? decodeRestoreRecord(bytes) : undefined
      if (record === undefined || record.steps.length === 0) return
      resolve(record.steps)
      await new Promise(() => {})
    }
    const bound = {
      load: records.load.bind(records),
      remove: records.remove.bind(records),
      names: records.names.bind(records),
    }
    void restore({ ...workspace, records: { ...bound, save } }, outputs, kept.result, kept.digest)
  })
  const other = await openLocalStore({ dir: join(checkout.sandbox, 'leases') })
  return {
    checkout,
    root,
    workspace: { ...workspace, leases: other.leases },
    outputs,
    kept,
    steps,
    async [Symbol.asyncDispose]() {
      await other[Symbol.asyncDispose]()
      await checkout[Symbol.asyncDispose]()
    },
  }
}
