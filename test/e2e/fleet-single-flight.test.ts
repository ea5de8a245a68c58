import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Report, type Runtime, runtimes, type Sandbox, sandbox } from './runtimes.ts'
import { ServeProcess } from './serve-process.ts'

interface Fleet {
  readonly runtime: Runtime
  readonly box: Sandbox
  readonly address: string
}

/** A machine that has nothing yet, by its cache folder and its checkout. */
class Machine {
  readonly #fleet: Fleet
  readonly #folder: string

  constructor(fleet: Fleet, name: string) {
    this.#fleet = fleet
    this.#folder = path.join(fleet.box.folder, name)
    mkdirSync(path.join(this.#folder, 'project/src'), { recursive: true })
    writeFileSync(path.join(this.#folder, 'project/package.json'), '{}')
  }

  /** Work on a content that takes so long, which is counted. */
  begin(content: string, seconds = USUAL_SECONDS): Build {
    const { runtime, box, address } = this.#fleet
    writeFileSync(path.join(this.#folder, 'project/src/a'), content)
    const script = `echo run >> '${countIn(box)}'; sleep $SECONDS_OF_WORK; mkdir -p out; cp src/a out/b; echo done`
    const [program = '', ...before] = runtime.argv
    const report = path.join(this.#folder, 'report.json')
    const options = [
      '--report',
      report,
      '--upload-wait',
      '20s',
      '--pass-env',
      'SECONDS_OF_WORK',
      '-i',
      'src',
      '-o',
      'out',
    ]
    const env = {
      PATH: process.env.PATH,
      HOME: this.#folder,
      RECUE_CACHE_DIR: path.join(this.#folder, 'cache'),
      RECUE_REMOTE: address,
      RECUE_REMOTE_TIMEOUT: '20s',
      SECONDS_OF_WORK: String(seconds),
    }
    const cwd = path.join(this.#folder, 'project')
    const words = [...before, 'run', ...options, '--', 'sh', '-c', script]
    return new Build(spawn(program, words, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] }), report)
  }

  get made(): string {
    return readFileSync(path.join(this.#folder, 'project/out/b'), 'utf8')
  }
}

const USUAL_SECONDS = 5

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

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** With its command. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    await this.#ended
  }

  /** With the client's reason for a miss, which a failed assertion shows. */
  async report(): Promise<Pick<Report, 'status' | 'source' | 'reason'>> {
    await this.#ended
    const { status, source, reason } = JSON.parse(readFileSync(this.#report, 'utf8')) as Report
    return { status, ...(source && { source }), ...(reason && { reason }) }
  }
}

function countIn(box: Sandbox): string {
  return path.join(box.folder, 'count')
}

function runsIn(box: Sandbox): number {
  return existsSync(countIn(box)) ? readFileSync(countIn(box), 'utf8').trim().split('\n').length : 0
}

/** Done when more than so many commands have begun. */
async function commandBegins(box: Sandbox, runs: number): Promise<void> {
  while (runsIn(box) <= runs) await new Promise((resolve) => setTimeout(resolve, 20))
}

const RAN = { status: 'miss', reason: 'first run' }
const HAD = { status: 'hit', source: 'remote' }

describe.each(runtimes)('machines that never did a long command, and miss it at once: $name', (runtime) => {
  let used: AsyncDisposableStack
  let fleet: Fleet
  beforeEach(async () => {
    used = new AsyncDisposableStack()
    const box = used.use(sandbox('fleet-flight'))
    const server = used.use(new ServeProcess(runtime, path.join(box.folder, 'server'), ['--http', '0']))
    fleet = { runtime, box, address: (await server.addresses()).grpc }
  })
  afterEach(() => used.disposeAsync())

  test('one runs it, the others wait and have it; from then on the fleet knows how long it takes', async () => {
    const machines = ['one', 'two', 'three'].map((name) => new Machine(fleet, name))
    const builds = machines.map((machine) => machine.begin('the same'))
    const reports = await Promise.all(builds.map((build) => build.report()))
    expect(reports.toSorted((a, b) => a.status.localeCompare(b.status))).toEqual([HAD, HAD, RAN])
    expect(runsIn(fleet.box)).toBe(1)
    expect(machines.map(({ made }) => made)).toEqual(['the same', 'the same', 'the same'])
    const lines = await Promise.allSettled(builds.map(({ waits }) => waits))
    const said = lines.flatMap((line) => (line.status === 'fulfilled' ? [line.value] : []))
    for (const line of said)
      expect(line).toMatch(/^waiting for the same work elsewhere: sh on .+ \(another machine.*\)$/)
    expect(said).toHaveLength(2)

    const later = ['four', 'five'].map((name) => new Machine(fleet, name).begin('another'))
    expect(await Promise.any(later.map(({ waits }) => waits))).toMatch(/; usually [5-9]\.\d s\)$/)
    await Promise.all(later.map((build) => build.stop()))
  })

  test('where the one that runs it is killed, another one does', async () => {
    const dying = new Machine(fleet, 'dying').begin('the same')
    await commandBegins(fleet.box, 0)
    const heirs = ['one', 'other'].map((name) => new Machine(fleet, name).begin('the same'))
    await Promise.all(heirs.map(({ waits }) => waits))
    dying.child.kill('SIGKILL')
    const reports = await Promise.all(heirs.map((build) => build.report()))
    expect(reports.toSorted((a, b) => a.status.localeCompare(b.status))).toEqual([HAD, RAN])
    expect(runsIn(fleet.box)).toBe(2)
  })

  test('where it takes far longer than it does as a rule, the others run it as well', async () => {
    expect(await new Machine(fleet, 'first').begin('before').report()).toEqual(RAN)
    const endless = new Machine(fleet, 'endless').begin('the same', 120)
    await commandBegins(fleet.box, 1)
    const other = new Machine(fleet, 'other').begin('the same', 0)
    expect(await other.waits).toMatch(/; usually [5-9]\.\d s\)$/)
    expect(await other.report()).toEqual(RAN)
    expect(endless.hasEnded).toBe(false)
    await endless.stop()
  })
})
