import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePort } from './free-port.ts'

/** The S3-compatible server that the suites look for. CONTRIBUTING says how it is installed. */
export const S3_SERVER = 'versitygw'
export const BUCKET = 'recue-test'
export const S3_CREDENTIALS = { accessKeyId: 'AKIDRECUETEST', secretAccessKey: 'a-secret-of-the-tests-only' }

export interface S3Server extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly endpoint: string
  /** Where the objects of the bucket lie as files of their names. */
  readonly objects: string
  /** At the same port, with the same objects. */
  start(): Promise<void>
  kill(): Promise<void>
  /** Stands still until it is let go. */
  hold(): void
  letGo(): void
}

/** A real S3 store with an empty bucket, on a folder of its own in the one that is named. */
export async function s3Server(within: string = tmpdir()): Promise<S3Server> {
  const folder = mkdtempSync(path.join(within, 'recue-s3-'))
  const [data, sidecar] = [path.join(folder, 'data'), path.join(folder, 'attributes')]
  const objects = path.join(data, BUCKET)
  mkdirSync(objects, { recursive: true })
  mkdirSync(sidecar)
  const port = await freePort()
  const keys = ['--access', S3_CREDENTIALS.accessKeyId, '--secret', S3_CREDENTIALS.secretAccessKey]
  const settings = ['--quiet', '--keep-alive', '--port', `127.0.0.1:${port}`]
  let child: ChildProcess | undefined
  const start = async () => {
    // Its attributes in files: the file systems of some machines have none.
    child = spawn(S3_SERVER, [...keys, ...settings, 'posix', '--sidecar', sidecar, data], { stdio: 'ignore' })
    await answering(port)
  }
  const kill = async () => {
    if (child === undefined) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    child = undefined
  }
  await start()
  return {
    endpoint: `http://127.0.0.1:${port}`,
    ...{ objects, start, kill },
    hold: () => void child?.kill('SIGSTOP'),
    letGo: () => void child?.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function answering(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isUp = await new Promise((resolve) =>
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
    )
    socket.destroy()
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
