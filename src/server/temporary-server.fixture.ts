import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLocalStore } from '../store/local/local-store.ts'
import { OPEN } from './access.ts'
import { type RunningServer, type ServeOptions, serve } from './serve.ts'

/** A server on any port that is free, over a store that goes with it. */
export async function temporaryServer(options: Partial<ServeOptions> = {}): Promise<RunningServer> {
  const dir = mkdtempSync(join(tmpdir(), 'recue-server-'))
  const store = await openLocalStore({ dir })
  const server = await serve(store, { http: { kind: 'tcp', host: '127.0.0.1', port: 0 }, gate: OPEN, ...options })
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
