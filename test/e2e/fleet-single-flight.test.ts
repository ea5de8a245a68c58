import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Report, type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { ServeProcess } from './serve-process.ts'

/** A machine of its own, by its cache folder and its checkout. */
class Machine {
  readonly folder: string
  readonly #runtime: Runtime
  readonly #box: Sandbox
  readonly #address: string

  constructor(box: Sandbox, runtime: Runtime, name: string, address: string) {
    this.folder = path.join(box.folder, name)
    this.#box = box
    this.#runtime = runtime
    this.#address = address
    mkdirSync(path.join(this.folder, 'project/src'), { recursive: true })
    writeFileSync(path.join(this.folder, 'project/package.json'), '{}')
  }

  /** Five seconds of work on a content, which are counted. */
  begin(content: string): Build {
    writeFileSync(path.join(this.folder, 'project/src/a'), content)
    const count = path.join(this.#box.folder, 'count')
    const script = `echo run >> '${count}'; sleep 5; mkdir -p out; cp src/a out/b; echo done`
    const [program = '', ...before] = this.#runtime.argv
    const report = path.join(this.folder, 'report.json')
    const words = [...before, 'run', '--report', report, '--upload-wait', '20s', '-i', 'src', '-o', 'out', '--']
    const env = {
      PATH: process.env.PATH,
      HOME: this.folder,
      RECUE_CACHE_DIR: path.join(this.folder, 'cache'),
      RECUE_REMOTE: this.#address,
      RECUE_REMOTE_TIMEOUT: '10s',
    }
    const cwd = path.join(this.folder, 'project')
    const child = spawn(program, [...words, 'sh', '-c', script], { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] })
    return new Build(child, report)
  }
}

class Build {
  readonly child: ChildProcess
  readonly #report: string
  readonly #ended: Promise<unknown>
  readonly #waits = Promise.withResolvers<string>()
  #said = ''

  constructor(child: ChildProcess, report: string) {
    this.child = child
    this.#report = report
    this.#ended = once(child, 'close')
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#said += chunk
      const line = /recue: (waiting for .*)\n/.exec(this.#said)?.[1]
      if (line !== undefined) this.#waits.resolve(line)
    })
    void this.#ended.then(() => this.#waits.reject(new Error(`it did not wait: ${this.#said}`)))
    this.#waits.promise.catch(() => undefined)
  }

  /** What it says when it waits for another machine. */
  get waits(): Promise<string> {
    return this.#waits.promise
  }

  async report(): Promise<Report> {
    await this.#ended
    return JSON.parse(readFileSync(this.#report, 'utf8')) as Report
  }
}

function runsOf(box: Sandbox): number {
  return readFileSync(path.join(box.folder, 'count'), 'utf8').trim().split('\n').length
}

/** Done when more than so many have begun. */
async function commandRuns(box: Sandbox, runs: number): Promise<void> {
  while (runsOf(box) <= runs) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** On a busy machine an answer may take so long that asking others is not worth it, and all do the work. */
async function attempt<T>(work: (number: number) => Promise<T | undefined>): Promise<T> {
  for (let number = 0; number < 5; number++) {
    const done = await work(number)
    if (done !== undefined) return done
  }
  throw new Error('nobody waited')
}

describe.each(runtimes)('machines that miss the same long command at once: $name', (runtime) => {
  test('one runs it and the others have it; where that one is killed, another one runs it', async () => {
    await using box = sandbox('fleet-flight')
    await using server = new ServeProcess(runtime, path.join(box.folder, 'server'), ['--http', '0', '--workers', '1'])
    const { grpc } = await server.addresses()
    const [one, other] = ['one', 'other'].map((name) => new Machine(box, runtime, name, grpc)) as [Machine, Machine]
    // Nobody knows yet that it takes long.
    const first = [one.begin('of one'), other.begin('of the other')]
    for (const build of first) expect((await build.report()).status).toBe('miss')
    expect(runsOf(box)).toBe(2)

    const shared = await attempt(async (number) => {
      const before = runsOf(box)
      const both = [one, other].map((machine) => machine.begin(`the same ${number}`))
      const line = await Promise.any(both.map(({ waits }) => waits)).catch(() => undefined)
      const reports = await Promise.all(both.map((build) => build.report()))
      return line === undefined
        ? undefined
        : { line, reports, runs: runsOf(box) - before, content: `the same ${number}` }
    })
    expect(shared.line).toMatch(
      /^waiting for the same work elsewhere: sh on .+ \(another machine.*; usually 5\.\d s\)$/,
    )
    expect(shared.reports.map(({ status }) => status).toSorted()).toEqual(['hit', 'miss'])
    expect(shared.runs).toBe(1)
    for (const { folder } of [one, other])
      expect(readFileSync(path.join(folder, 'project/out/b'), 'utf8')).toBe(shared.content)

    const inherited = await attempt(async (number) => {
      const before = runsOf(box)
      const dying = one.begin(`another ${number}`)
      await commandRuns(box, before)
      const heir = other.begin(`another ${number}`)
      const line = await heir.waits.catch(() => undefined)
      dying.child.kill('SIGKILL')
      const { status } = await heir.report()
      return line === undefined ? undefined : { status, runs: runsOf(box) - before }
    })
    expect(inherited).toEqual({ status: 'miss', runs: 2 })
  })
})
