import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface StdinFile extends Disposable {
  readonly file: number
}

/**
 * A nameless file with a command's standard input in it, which the command can open again as `/dev/stdin`: what `spawn`
 * would make is a socket (see `child-pipes.ts`). Undefined where there is no room for it.
 */
export function openStdinFile(bytes: Uint8Array): StdinFile | undefined {
  let folder: string | undefined
  try {
    folder = mkdtempSync(join(tmpdir(), 'recue-stdin-'))
    const path = join(folder, 'stdin')
    writeFileSync(path, bytes, { mode: 0o600 })
    const file = openSync(path, 'r')
    return { file, [Symbol.dispose]: () => closeSync(file) }
  } catch {
    return undefined
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
}
