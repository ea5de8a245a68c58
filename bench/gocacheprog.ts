import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled, skippedRow } from './benchmark.ts'
import { installed } from './installed.ts'
import { type Contender, once, pairedRuns, type Timing } from './paired-runs.ts'
import { alone, executable, inPlace } from './place.ts'
import { serveRecue } from './served.ts'

/** `recue gocacheprog` beside the cache that is built into Go: `go build` of a program that reads JSON, with all of the standard library that it needs, linked anew each time. */
export const gocacheprog: Benchmark = {
  name: 'gocacheprog',
  run: async (options) =>
    installed('go') ? inPlace('go', (folder) => measure(folder, options)) : [skippedRow('go build', 'no go')],
}

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  await using server = await serveRecue(folder, 'executable')
  const { host, port } = server.http
  const own = contender(folder, 'own', {})
  const ours = contender(folder, 'recue', {})
  const remote = contender(folder, 'served', { server: `http://${host}:${port}` })
  for (const each of [own, ours, remote]) once(each)
  const warm = pairedRuns([own, ours], scaled(9, options, 3))
  const nothingLent = { ...ours, prepare: () => empty(folder, 'recue/cache/lent') }
  const unlent = pairedRuns([own, nothingLent], scaled(3, options, 2))
  const nothingHere = (name: string, what: Contender) => ({ ...what, prepare: () => empty(folder, name) })
  const cold = pairedRuns([nothingHere('own', own), nothingHere('recue', ours), nothingHere('served', remote)], 1)
  const [compiled, kept, fetched] = cold as [Timing, Timing, Timing]
  return [
    row('go build, all there', warm),
    row('go build, outputs to be unpacked', unlent),
    rowOf('go build, nothing there', kept, compiled),
    rowOf('go build, all at the server', fetched, compiled),
  ]
}

function row(what: string, timings: readonly Timing[]): Row {
  const [theirs, ours] = timings as [Timing, Timing]
  return rowOf(what, ours, theirs)
}

/** All that it keeps is below a folder of its name. */
function contender(folder: string, name: string, { server }: { readonly server?: string }): Contender {
  const cwd = path.join(folder, `${name}-module`)
  mkdirSync(cwd)
  writeFileSync(path.join(cwd, 'go.mod'), 'module example.com/reading\n\ngo 1.24\n')
  writeFileSync(
    path.join(cwd, 'main.go'),
    'package main\n\nimport ("encoding/json"; "os")\n\nfunc main() { json.NewEncoder(os.Stdout).Encode(os.Args) }\n',
  )
  const words = [executable, 'gocacheprog', ...(server === undefined ? [] : ['--server', server])]
  const env = { GOCACHE: path.join(folder, name, 'go'), GOTOOLCHAIN: 'local', GOPROXY: 'off', CGO_ENABLED: '0' }
  return {
    name: name === 'own' ? "Go's own cache" : 'recue',
    argv: ['go', 'build', '-o', 'program', '.'],
    cwd,
    env: name === 'own' ? env : { ...env, ...alone(path.join(folder, name)), GOCACHEPROG: words.join(' ') },
  }
}

function empty(folder: string, name: string): void {
  rmSync(path.join(folder, name), { recursive: true, force: true })
}

if (import.meta.main) await runAlone(gocacheprog)
