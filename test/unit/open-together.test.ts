import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { openLocalStore } from '../../src/store/local/local-store.ts'

const STORE = join(import.meta.dirname, '../../src/store/local/local-store.ts')
const PROCESSES = 12
const ROUNDS = 8

/** Opens and closes each folder in turn, with something written in between: the last to close cleans up the index. */
const OPENER = `
  const { openLocalStore } = await import(${JSON.stringify(STORE)})
  process.stdout.write('ready')
  await new Promise((go) => process.stdin.once('data', go))
  for (const dir of process.argv.slice(1)) {
    await using store = await openLocalStore({ dir })
    await store.records.save('inputs', 'r' + process.pid, Buffer.alloc(2000))
  }
  process.exit(0)`

async function openedByMany(folders: readonly string[]): Promise<readonly { code: number | null; stderr: string }[]> {
  const children = Array.from({ length: PROCESSES }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', OPENER, ...folders], { stdio: 'pipe' }),
  )
  onTestFinished(() => {
    for (const child of children) child.kill('SIGKILL')
  })
  await Promise.all(children.map((child) => new Promise((ready) => child.stdout.once('data', ready))))
  for (const child of children) child.stdin.end('go')
  return Promise.all(
    children.map(async (child) => {
      const code = new Promise<number | null>((end) => child.once('close', end))
      return { stderr: await text(child.stderr), code: await code }
    }),
  )
}

test.each(['new', 'there already'])(
  'a cache folder that is %s is opened by many processes at the same moment',
  async (state) => {
    const base = mkdtempSync(join(tmpdir(), 'recue-together-'))
    onTestFinished(() => rmSync(base, { recursive: true, force: true }))
    const folders = Array.from({ length: ROUNDS }, (_, i) => join(base, `${i}`))
    for (const dir of folders) {
      mkdirSync(dir)
      if (state === 'new') continue
      await using _ = await openLocalStore({ dir })
    }
    const visits = state === 'new' ? folders : [...folders, ...folders, ...folders]
    for (const ended of await openedByMany(visits)) expect(ended).toEqual({ code: 0, stderr: '' })
  },
  60_000,
)
