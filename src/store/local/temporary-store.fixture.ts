import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { DEFAULT_SCOPE } from '../contracts.ts'
import { readWhole } from '../read-whole.ts'
import type { LocalStore } from './local-store.ts'

/** An empty folder that goes when the test ends. */
export function temporaryFolder(onEnd: (clean: () => void) => void): string {
  const dir = mkdtempSync(join(tmpdir(), 'recue-store-'))
  onEnd(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export async function keep(store: LocalStore, bytes: Uint8Array): Promise<Digest> {
  await store.blobs.write(DEFAULT_SCOPE, digestOf(bytes), bytes)
  return digestOf(bytes)
}

/** Whether the store gives back exactly these bytes; undefined when it says that it does not have them. */
export async function gives(store: LocalStore, bytes: Uint8Array): Promise<boolean | undefined> {
  const found = await readWhole(store.blobs, DEFAULT_SCOPE, digestOf(bytes))
  return found && Buffer.from(found).equals(bytes)
}

/** Another process that runs the module text with `dir` and the engine's modules at hand, and says `ready` when it is. */
export async function otherProcess(
  dir: string,
  body: string,
  onEnd: (clean: () => void) => void,
): Promise<ChildProcess> {
  const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
  const text = `
    import { openLocalStore } from ${url('./local-store.ts')}
    import { fileLeases } from ${url('./leases.ts')}
    import { digestOf } from ${url('../../digest/sha256.ts')}
    import { content } from ${url('../content.fixture.ts')}
    const dir = ${JSON.stringify(dir)}, scope = { instance: '' }
    ${body}
    process.send('ready')
    process.on('message', () => process.exit(0))
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  onEnd(() => child.kill('SIGKILL'))
  const [message] = await Promise.race([once(child, 'message'), once(child, 'exit')])
  if (message !== 'ready') throw new Error(`the other process ended: ${message}`)
  return child
}

export async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}
