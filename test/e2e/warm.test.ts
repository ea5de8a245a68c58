import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { ServeProcess } from './serve-process.ts'

/** A chain, of which each task reads what the one before it makes. */
const TASKS = {
  lib: { command: 'mkdir -p lib && cp src/a lib/a', inputs: ['src'], outputs: ['lib'] },
  app: { command: 'mkdir -p app && cp lib/a app/a', dependsOn: ['lib'], inputs: ['lib/**'], outputs: ['app'] },
  bundle: { command: 'cat lib/a app/a > bundle', dependsOn: ['app'], inputs: ['app', 'lib'], outputs: ['bundle'] },
  lint: { command: 'true', inputs: ['src'] },
  all: { dependsOn: ['bundle', 'lint'] },
}

describe.each(runtimes)('warm on $name', (runtime) => {
  let used: AsyncDisposableStack
  let box: Sandbox
  let address: string
  beforeEach(async () => {
    used = new AsyncDisposableStack()
    box = used.use(sandbox('warm'))
    const server = used.use(new ServeProcess(runtime, path.join(box.folder, 'server'), ['--http', '0']))
    address = (await server.addresses()).grpc
  })
  afterEach(() => used.disposeAsync())

  /** A machine with a cache and a checkout of its own. */
  function machine(name: string, source: string) {
    const cwd = path.join(box.folder, name)
    const file = (of: string) => path.join(cwd, of)
    mkdirSync(file('src'), { recursive: true })
    writeFileSync(file('recue.config.json'), JSON.stringify({ tasks: TASKS }))
    writeFileSync(file('src/a'), source)
    const recue = (args: readonly string[], remote: string) => {
      const RECUE_CACHE_DIR = path.join(box.folder, `${name}-cache`)
      const env = { RECUE_CACHE_DIR, RECUE_REMOTE: remote, RECUE_REMOTE_TIMEOUT: '20s', RECUE_UPLOAD_WAIT: '20s' }
      return box.recue(runtime, args, { cwd, env })
    }
    return {
      file,
      build: (...tasks: string[]) => expect(recue(['run', ...tasks], address)).toMatchObject({ status: 0 }),
      /** How it stands with each task, and why. */
      warm(): Record<string, readonly [state: string, reason: string | null]> {
        const { status, stdout, stderr } = recue(['warm', '--json'], address)
        expect([status, stderr]).toEqual([0, ''])
        const { tasks } = JSON.parse(stdout) as { tasks: { task: string; state: string; reason: string | null }[] }
        return Object.fromEntries(tasks.map(({ task, state, reason }) => [task, [state, reason]]))
      },
      /** With no remote: the status of each task. */
      offline(): Record<string, string> {
        const { stdout, stderr } = recue(['run', '--json', 'all'], '')
        const { runs } = JSON.parse(stdout || stderr) as { runs: { task: string; status: string }[] }
        return Object.fromEntries(runs.map(({ task, status }) => [task, status]))
      },
    }
  }

  test('a fresh checkout gets a whole chain, and the workspace stays as it is', () => {
    machine('one', 'first').build('all')
    const fresh = machine('other', 'first')
    const fetched = ['fetched', null]
    expect(fresh.warm()).toEqual({ lib: fetched, app: fetched, bundle: fetched, lint: fetched })
    for (const made of ['lib', 'app', 'bundle']) expect(existsSync(fresh.file(made))).toBe(false)
    expect(fresh.offline()).toEqual({ lib: 'hit', app: 'hit', bundle: 'hit', lint: 'hit' })
    expect(readFileSync(fresh.file('bundle'), 'utf8')).toBe('firstfirst')
  })

  test('after a pull, what was made of the sources before stands in the way of nothing', () => {
    const own = machine('other', 'first')
    own.build('all')
    machine('one', 'second').build('all')
    writeFileSync(own.file('src/a'), 'second')
    const fetched = ['fetched', null]
    expect(own.warm()).toEqual({ lib: fetched, app: fetched, bundle: fetched, lint: fetched })
    expect(readFileSync(own.file('bundle'), 'utf8')).toBe('firstfirst')
    expect(own.offline()).toEqual({ lib: 'hit', app: 'hit', bundle: 'hit', lint: 'hit' })
    expect(readFileSync(own.file('bundle'), 'utf8')).toBe('secondsecond')
    const here = ['here', null]
    expect(own.warm()).toEqual({ lib: here, app: here, bundle: here, lint: here })
  })

  test('what nobody has made yet has no key for what builds on it, and that is said', () => {
    const one = machine('one', 'first')
    one.build('lib')
    expect(machine('other', 'first').warm()).toEqual({
      lib: ['fetched', null],
      app: ['absent', null],
      bundle: ['no-key', 'it builds on app: run that first'],
      lint: ['absent', null],
    })
    expect(machine('third', 'third').warm()).toMatchObject({
      lib: ['absent', null],
      app: ['no-key', 'it builds on lib: run that first'],
      bundle: ['no-key', 'it builds on lib, app: run that first'],
    })
  })
})
