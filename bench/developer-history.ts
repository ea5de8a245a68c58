import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Cache, openCache } from '../src/cache.ts'
import { checkOut, modules, seeded } from './edited-packages.ts'
import { node } from './place.ts'

/**
 * A few developers and a server that builds what they push share one cache. Each has a checkout of several projects, runs
 * what an edit touches and, less often, what depends on that, undoes edits, switches branches now and then, pulls. Nobody
 * builds what has not changed, so most requests are for what is new. What is edited when is decided by a seed; times
 * belong to the machine.
 */
export async function developHistory(folder: string, steps: number, told: (line: string) => void): Promise<Cache> {
  const history = new History(folder, await openCache({ cacheDir: path.join(folder, 'cache'), maxCacheSize: '8GiB' }))
  for (let step = 1; step <= steps; step++) told(`${step} of ${steps}: ${await history.step()}`)
  return history.cache
}

interface Package {
  readonly name: string
  readonly project: string
  /** Of the installed modules; undefined for a program that is made of the ones it needs. */
  readonly from: string | undefined
  readonly entry: string
  readonly needs: readonly string[]
}

/** By project: a name, where its sources are, what is loaded first, and what it needs of the same project. */
const PROJECTS: Readonly<Record<string, readonly (readonly [string, string | undefined, string, ...string[]])[]>> = {
  settings: [
    ['toml', 'smol-toml/dist', 'index.js'],
    ['jsonc', 'jsonc-parser/lib/esm', 'main.js'],
    ['yaml', 'yaml/browser/dist', 'index.js'],
    ['schema', 'zod/v4', 'index.js', 'jsonc'],
    ['reader', undefined, 'index.js', 'toml', 'jsonc', 'yaml', 'schema'],
  ],
  wire: [
    ['long', 'long', 'index.js'],
    ['proto', '@bufbuild/protobuf/dist/esm', 'index.js', 'long'],
    ['protojs', 'protobufjs/src', 'index-minimal.js', 'long'],
    ['poet', 'ts-poet/build', 'index.js'],
    ['generator', undefined, 'index.js', 'proto', 'poet'],
    ['gateway', undefined, 'index.js', 'proto', 'protojs'],
  ],
  styles: [
    ['maps', 'source-map-js/lib', 'source-map-generator.js'],
    ['ids', 'nanoid', 'index.js'],
    ['css', 'postcss/lib', 'postcss.mjs', 'maps', 'ids'],
    ['strings', 'magic-string/dist', 'index.mjs', 'maps'],
    ['bundler', undefined, 'index.js', 'css', 'strings'],
  ],
  proof: [
    ['random', 'pure-rand/lib', 'pure-rand.js'],
    ['check', 'fast-check/lib', 'fast-check.js', 'random'],
    ['chai', 'chai', 'index.js'],
    ['shell', 'unbash/dist', 'parser.js'],
    ['runner', undefined, 'index.js', 'check', 'chai', 'shell'],
  ],
}

const PACKAGES: readonly Package[] = Object.entries(PROJECTS).flatMap(([project, packages]) =>
  packages.map(([name, from, entry, ...needs]) => ({ name, project, from, entry, needs })),
)

interface Task {
  readonly line: string
  readonly outputs: readonly string[]
}

/** What is run again and again while one edits; then what others need. A tool that finds fault is fine. */
function tasksOf({ entry, from }: Package): { readonly quick: readonly Task[]; readonly rest: readonly Task[] } {
  const bin = path.join(modules, '.bin')
  const typescript = `${bin}/tsc --allowJs --skipLibCheck --target esnext --module esnext --moduleResolution bundler`
  const load = `import('./src/${entry}').then(m=>console.log(Object.keys(m).sort().join()),e=>console.log(e.name))`
  const quick = [
    { line: `${typescript} --noEmit --checkJs src/${entry} || true`, outputs: [] },
    { line: `${node} -e "${load}"`, outputs: [] },
  ]
  const bundle = `${bin}/bun build src/${entry} --target=node --outdir bundle --sourcemap=linked || mkdir -p bundle`
  if (from === undefined)
    return {
      quick,
      rest: [
        { line: bundle, outputs: ['bundle'] },
        { line: `${bin}/rolldown src/${entry} --platform node --minify -d app || mkdir -p app`, outputs: ['app'] },
        {
          line: `${bin}/bun build src/${entry} --target=browser --minify --outdir web || mkdir -p web; gzip -9nrk web`,
          outputs: ['web'],
        },
      ],
    }
  return {
    quick,
    rest: [
      { line: `${bin}/biome lint --max-diagnostics=20 src || true`, outputs: [] },
      { line: `${typescript} --declaration --outDir lib src/${entry} || true`, outputs: ['lib'] },
      { line: bundle, outputs: ['bundle'] },
    ],
  }
}

/** The edits of each package, in order. */
type Versions = ReadonlyMap<string, readonly number[]>

interface Branch {
  versions: Versions
  readonly topic: readonly Package[]
}

const DEVELOPERS = 3
const BRANCHES_EACH = 4

class History {
  readonly cache: Cache
  readonly #random = seeded(4_711)
  readonly #server: Checkout
  readonly #developers: Developer[]
  #main: Versions = new Map()
  #edits = 0

  constructor(folder: string, cache: Cache) {
    this.cache = cache
    this.#server = new Checkout(path.join(folder, 'server'), cache)
    this.#developers = Array.from({ length: DEVELOPERS }, (_, number) => ({
      checkout: new Checkout(path.join(folder, `developer-${number}`), cache),
      branches: [this.#begun()],
    }))
  }

  async step(): Promise<string> {
    const developer = this.#developers[this.#below(DEVELOPERS)] as Developer
    const branch = developer.branches[0] as Branch
    const dice = this.#random()
    if (dice < 0.58) return this.#edit(developer.checkout, branch)
    if (dice < 0.66) return this.#undo(developer.checkout, branch)
    if (dice < 0.76) return this.#pull(developer.checkout, branch)
    if (dice < 0.88) return this.#switch(developer)
    return this.#push(developer, branch)
  }

  async #edit(checkout: Checkout, branch: Branch): Promise<string> {
    const one = branch.topic[this.#below(branch.topic.length)] as Package
    branch.versions = withEdits(branch.versions, one.name, (edits) => [...edits, ++this.#edits])
    const isQuick = this.#random() < 0.6
    if (isQuick) await checkout.try(one, branch.versions)
    else await checkout.build(branch.versions, [one.project])
    return `edited ${one.name}${isQuick ? '' : ' and built'}`
  }

  async #undo(checkout: Checkout, branch: Branch): Promise<string> {
    const one = branch.topic[this.#below(branch.topic.length)] as Package
    branch.versions = withEdits(branch.versions, one.name, (edits) => edits.slice(0, -1))
    await checkout.try(one, branch.versions)
    return `undid an edit of ${one.name}`
  }

  async #pull(checkout: Checkout, branch: Branch): Promise<string> {
    branch.versions = merged(this.#main, branch.versions)
    await checkout.build(branch.versions, projectsOf(branch))
    return 'pulled'
  }

  async #switch({ checkout, branches }: Developer): Promise<string> {
    const [branch] = branches.splice(this.#below(branches.length), 1)
    const next = branches.length + 1 < BRANCHES_EACH && this.#random() < 0.4 ? this.#begun() : (branch as Branch)
    if (next !== branch) branches.push(branch as Branch)
    branches.unshift(next)
    await checkout.build(next.versions, projectsOf(next))
    return `switched to ${next.topic.map(({ name }) => name).join(', ')}`
  }

  /** Built by the developer, then by the server; then something else begins. */
  async #push({ checkout, branches }: Developer, branch: Branch): Promise<string> {
    branch.versions = merged(this.#main, branch.versions)
    await checkout.build(branch.versions, projectsOf(branch))
    this.#main = branch.versions
    await this.#server.build(this.#main, Object.keys(PROJECTS))
    branches.shift()
    if (branches.length === 0 || this.#random() < 0.7) branches.unshift(this.#begun())
    const next = branches[0] as Branch
    await checkout.build(next.versions, projectsOf(next))
    return `pushed ${branch.topic.map(({ name }) => name).join(', ')}`
  }

  /** About one or two packages of one project; programs are edited less than what they are made of. */
  #begun(): Branch {
    const first = PACKAGES[this.#below(PACKAGES.length)] as Package
    const others = PACKAGES.filter(({ project, name }) => project === first.project && name !== first.name)
    const topic = this.#random() < 0.5 ? [first] : [first, others[this.#below(others.length)] as Package]
    return { versions: this.#main, topic }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}

interface Developer {
  readonly checkout: Checkout
  /** Worked on now first. */
  readonly branches: Branch[]
}

function projectsOf({ topic }: Branch): string[] {
  return [...new Set(topic.map(({ project }) => project))]
}

function withEdits(
  versions: Versions,
  name: string,
  change: (edits: readonly number[]) => readonly number[],
): Versions {
  return new Map([...versions, [name, change(versions.get(name) ?? [])]])
}

/** The edits of both, those of the first before what only the second has. */
function merged(first: Versions, second: Versions): Versions {
  const names = new Set([...first.keys(), ...second.keys()])
  return new Map(
    [...names].map((name) => [name, [...new Set([...(first.get(name) ?? []), ...(second.get(name) ?? [])])]]),
  )
}

/** A folder with all projects, that knows what it built last. */
class Checkout {
  readonly #folder: string
  readonly #cache: Cache
  /** The version of each package that is there. */
  readonly #there = new Map<string, string>()
  /** Of each package, and of what it is made of, when all its tasks last ran. */
  readonly #built = new Map<string, string>()

  constructor(folder: string, cache: Cache) {
    this.#folder = folder
    this.#cache = cache
  }

  /** What is run after each edit. */
  async try(one: Package, versions: Versions): Promise<void> {
    for (const part of withNeeds(one)) this.#checkOut(part, versions)
    await this.#run(one, tasksOf(one).quick)
  }

  /** What has changed since it was last built, and what depends on that. */
  async build(versions: Versions, projects: readonly string[]): Promise<void> {
    for (const one of PACKAGES) {
      if (!projects.includes(one.project)) continue
      const version = withNeeds(one)
        .map(({ name }) => `${name} ${versions.get(name) ?? ''}`)
        .join()
      if (this.#built.get(one.name) === version) continue
      for (const part of withNeeds(one)) this.#checkOut(part, versions)
      const { quick, rest } = tasksOf(one)
      await this.#run(one, [...quick, ...rest])
      this.#built.set(one.name, version)
    }
  }

  async #run(one: Package, tasks: readonly Task[]): Promise<void> {
    const root = path.join(this.#folder, one.project)
    const inputs = withNeeds(one).map(({ name }) => `../${name}/src`)
    for (const { line, outputs } of tasks)
      await this.#cache.run({ shell: line, root, cwd: path.join(root, one.name), inputs, outputs, gitignore: false })
  }

  #checkOut(one: Package, versions: Versions): void {
    const edits = versions.get(one.name) ?? []
    if (this.#there.get(one.name) === edits.join()) return
    this.#there.set(one.name, edits.join())
    const cwd = path.join(this.#folder, one.project, one.name)
    if (one.from === undefined) writeProgram(one, cwd, edits)
    else checkOut(one.from, cwd, edits)
  }
}

function writeProgram({ entry, needs }: Package, cwd: string, edits: readonly number[]): void {
  mkdirSync(path.join(cwd, 'src'), { recursive: true })
  const imports = needs.map((name) => {
    const part = PACKAGES.find((one) => one.name === name) as Package
    return `import * as ${name} from '../../${name}/src/${part.entry}'\nconsole.log(Object.keys(${name}).length)`
  })
  const lines = [...imports, ...edits.map((edit) => `globalThis.__edited = 'edit ${edit}'`)]
  writeFileSync(path.join(cwd, 'src', entry), `${lines.join('\n')}\n`)
}

/** Itself last. */
function withNeeds(one: Package): Package[] {
  const parts = one.needs.flatMap((name) => withNeeds(PACKAGES.find((other) => other.name === name) as Package))
  return [...new Set([...parts, one])]
}
