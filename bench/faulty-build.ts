import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { executable, node } from './place.ts'

/**
 * A task's work: text that is compressed as hard as can be, and for some a large output besides; then it waits until its time is over. Builds
 * that did nothing but compress took up to a tenth more or less from one to the next, without any remote.
 */
const WORK = `import { createCipheriv, createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { brotliCompressSync } from 'node:zlib'
const [input, output, moreBytes, taskMs] = process.argv.slice(2)
const text = readFileSync(input)
const packed = []
for (let at = 0; at < text.length; at += ${32 << 10}) packed.push(brotliCompressSync(text.subarray(at, at + ${32 << 10})))
mkdirSync(output, { recursive: true })
writeFileSync(output + '/packed', Buffer.concat(packed))
const key = createHash('sha256').update(text).digest()
const more = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(Number(moreBytes)))
if (more.length > 0) writeFileSync(output + '/more', more)
console.log(key.toString('hex'))
setTimeout(() => {}, Number(taskMs) - performance.now())
`
const CHUNK_BYTES = 32 << 10
/** One after the other: within a result, with others in a call, and a call of its own. */
const MORE_BYTES = [0, 60_000, 0, 300_000, 2_000_000]
/** Of a task's time, at the processor. */
const WORK_SHARE = 0.25
/** As where the bar was set: more at once would be less of a build for as many tasks. */
const AT_ONCE = 2

export interface BuildSize {
  readonly tasks: number
  /** On average: from two thirds to four thirds of it. */
  readonly taskMs: number
}

interface Report {
  readonly status: string
}

export interface Built {
  readonly ms: number
  readonly hits: number
  /** Of all outputs and their contents. */
  readonly made: string
}

/** A build of many small tasks, on machines that share nothing but a remote cache. */
export class FaultyBuild {
  readonly #folder: string
  readonly #project: string
  readonly #size: BuildSize
  #machines = 0

  constructor(folder: string, size: BuildSize) {
    this.#folder = folder
    this.#project = path.join(folder, 'project')
    this.#size = size
    mkdirSync(path.join(this.#project, 'in'), { recursive: true })
    writeFileSync(path.join(this.#project, 'work.mjs'), WORK)
    const msPerChunk = measuredChunkMs()
    const tasks: Record<string, unknown> = {}
    for (let i = 0; i < size.tasks; i++) {
      const taskMs = Math.round((2 / 3 + (i % 7) / 9) * size.taskMs)
      const chunks = Math.round((WORK_SHARE * taskMs) / msPerChunk)
      writeFileSync(path.join(this.#project, `in/${i}.txt`), textOf(i, Math.max(1, chunks)))
      const moreBytes = MORE_BYTES[i % MORE_BYTES.length]
      tasks[`task${i}`] = {
        command: [node, 'work.mjs', `in/${i}.txt`, `out/${i}`, `${moreBytes}`, `${taskMs}`],
        ...{ inputs: ['work.mjs', `in/${i}.txt`], outputs: [`out/${i}`] },
      }
    }
    writeFileSync(path.join(this.#project, 'recue.config.json'), JSON.stringify({ concurrency: AT_ONCE, tasks }))
  }

  /** All tasks on a machine that has never done one. Throws when one fails. */
  build(remote?: string): Built {
    const names = Array.from({ length: this.#size.tasks }, (_, i) => `task${i}`)
    return this.#run(path.join(this.#folder, `machine${this.#machines++}`), names, remote)
  }

  /** A machine that does one after the other: a run for each of its tasks. */
  oneByOne(tasks: readonly number[], remote?: string): Built[] {
    const machine = path.join(this.#folder, `machine${this.#machines++}`)
    return tasks.map((task) => this.#run(machine, [`task${task}`], remote))
  }

  #run(machine: string, names: readonly string[], remote: string | undefined): Built {
    const { PATH } = process.env
    const report = path.join(this.#folder, 'report.json')
    rmSync(path.join(this.#project, 'out'), { recursive: true, force: true })
    const env = { PATH, HOME: machine, RECUE_CACHE_DIR: `${machine}/cache`, ...(remote && { RECUE_REMOTE: remote }) }
    const startMs = performance.now()
    const argv = ['run', '--output-logs', 'errors-only', '--report', report, ...names]
    const { status, stderr } = spawnSync(executable, argv, { cwd: this.#project, env, encoding: 'utf8' })
    const ms = performance.now() - startMs
    if (status !== 0) throw new Error(`a build with ${remote ?? 'no remote'} ended with ${status}\n${stderr}`)
    const said = JSON.parse(readFileSync(report, 'utf8')) as Report | { readonly runs: readonly Report[] }
    const hits = ('runs' in said ? said.runs : [said]).filter((run) => run.status === 'hit').length
    return { ms, hits, made: digestOfTree(path.join(this.#project, 'out')) }
  }
}

function measuredChunkMs(): number {
  const text = textOf(-1, 8)
  const start = process.cpuUsage()
  for (let at = 0; at < text.length; at += CHUNK_BYTES) brotliCompressSync(text.subarray(at, at + CHUNK_BYTES))
  return process.cpuUsage(start).user / 8 / 1000
}

/** Of words, hard to compress and the same each time within a run. */
function textOf(number: number, chunks: number): Buffer {
  const bytes = Buffer.alloc(chunks * CHUNK_BYTES)
  const seed = createHash('shake256', { outputLength: bytes.length >> 2 })
    .update(`${number}`)
    .digest()
  let at = 0
  for (const byte of seed) at += bytes.write(WORDS[byte] as string, at)
  return bytes
}

const WORDS = Array.from({ length: 256 }, () => randomBytes(2).toString('hex'))

function digestOfTree(folder: string): string {
  const hash = createHash('sha256')
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }).sort(byPath)) {
    const file = path.join(entry.parentPath, entry.name)
    hash.update(`${file}\0`)
    if (entry.isFile()) hash.update(createHash('sha256').update(readFileSync(file)).digest())
  }
  return hash.digest('hex')
}

function byPath(a: { parentPath: string; name: string }, b: { parentPath: string; name: string }): number {
  return path.join(a.parentPath, a.name) < path.join(b.parentPath, b.name) ? -1 : 1
}
