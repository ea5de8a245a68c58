import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Faults } from '../fixtures/fault-proxy.ts'
import { type FaultProxyProcess, startFaultProxy } from '../fixtures/fault-proxy-process.ts'
import { type Ended, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { ServeProcess } from './serve-process.ts'

/** A build whose remote cache is at the end of a bad line: as right as one without. */
const MACHINES = ['first', 'second', 'third']
/** Of a task's output: small enough to come within a result, to share a call with others, and a call of its own. */
const SIZES = [2_000, 300_000, 3_000_000]
const SCRIPT = 'tr a-y b-z <"$1" >"$2"; echo "did $1"; echo "looked at $1" >&2'

const BAD: Readonly<Record<string, Faults>> = {
  'answers after 200 ms': { upMs: 100, downMs: 100 },
  'loses 30 % of what it is asked': { loss: { share: 0.3, of: 'requests', by: 'reset' } },
  'never answers 30 % of connections': { loss: { share: 0.3, of: 'connections', by: 'stall' } },
  'changes a bit now and then': { flipAfterBytes: 20_000 },
  'changes a bit all the time': { flipAfterBytes: 100 },
  'dies half-way': { cutAfterBytes: 100_000 },
  'says nothing': { isHole: true },
  'cannot be reached': { connect: 'refused' },
  'is swallowed by a firewall': { connect: 'unanswered' },
}

describe.each(runtimes)('on $name, a remote that', (runtime) => {
  let used: AsyncDisposableStack
  let box: Sandbox
  let line: FaultProxyProcess
  beforeEach(async () => {
    used = new AsyncDisposableStack()
    box = used.use(sandbox('faulty-remote'))
    for (const name of MACHINES) inputs(path.join(box.folder, name))
    const server = used.use(new ServeProcess(runtime, path.join(box.folder, 'far'), ['--http', '0', '--grpc', '0']))
    const { hostname, port } = new URL((await server.addresses()).grpc.replace('grpc:', 'http:'))
    line = used.use(await startFaultProxy({ to: { host: hostname, port: Number(port) }, seed: 5 }))
  })
  afterEach(() => used.disposeAsync())

  /** All tasks on a machine of its own, with a line that is like this. */
  async function build(
    machine: string,
    faults: Faults,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<Ended[]> {
    await line.set(faults)
    const cwd = path.join(box.folder, machine)
    const env = {
      RECUE_CACHE_DIR: path.join(box.folder, `${machine}-cache`),
      RECUE_REMOTE: `grpc://127.0.0.1:${line.port}`,
      ...settings,
    }
    return SIZES.map((_, i) => {
      const files = [`in${i}`, `out${i}`] as const
      return box.recue(runtime, ['run', '-i', files[0], '-o', files[1], '--', 'sh', '-c', SCRIPT, 'sh', ...files], {
        cwd,
        env,
      })
    })
  }

  function expectRight(machine: string, ended: readonly Ended[]): void {
    for (const [i, { status, stdout, stderr }] of ended.entries()) {
      expect(status, stderr).toBe(0)
      expect(stdout).toBe(`did in${i}\n`)
      expect(stderr).toContain(`looked at in${i}\n`)
      const [input, output] = [`in${i}`, `out${i}`].map((file) =>
        readFileSync(path.join(box.folder, machine, file), 'latin1'),
      )
      expect(output === input?.replaceAll(/[a-y]/g, next), `out${i}`).toBe(true)
    }
  }

  test('has no fault gives all that another machine did', async () => {
    // However busy this machine is with other things.
    const patient = { RECUE_REMOTE_TIMEOUT: '20s', RECUE_UPLOAD_WAIT: '20s' }
    expectRight('first', await build('first', {}, patient))
    const again = await build('second', {}, patient)
    expectRight('second', again)
    for (const { stderr } of again) expect(stderr).toMatch(/recue: hit/)
  })

  test('takes longer to answer than short commands are long is not waited for, and a miss says so', async () => {
    await build('first', {})
    for (const i of SIZES.keys()) writeFileSync(path.join(box.folder, 'first', `in${i}`), 'changed')
    const again = await build('first', { upMs: 2_000 })
    expectRight('first', again)
    for (const { stderr } of again) expect(stderr).toMatch(/recue: miss .*; the remote cache had not answered in time/)
  })

  test.each(Object.entries(BAD))(
    '%s changes no build, and is given nothing wrong',
    { timeout: 120_000 },
    async (_, faults) => {
      expectRight('first', await build('first', {}))
      expectRight('second', await build('second', faults))
      expectRight('third', await build('third', {}))
    },
  )

  test.each(Object.entries(BAD))(
    '%s while it is filled gives nothing wrong later',
    { timeout: 120_000 },
    async (_, faults) => {
      expectRight('first', await build('first', faults))
      expectRight('second', await build('second', {}))
    },
  )
})

function next(letter: string): string {
  return String.fromCharCode(letter.charCodeAt(0) + 1)
}

/** The same on each machine, and hard to compress. */
function inputs(folder: string): void {
  mkdirSync(folder)
  for (const [i, size] of SIZES.entries()) {
    const bytes = createHash('shake256', { outputLength: size >> 1 })
      .update(`${i}`)
      .digest('hex')
    writeFileSync(path.join(folder, `in${i}`), bytes)
  }
}
