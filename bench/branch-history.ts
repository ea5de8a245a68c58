import path from 'node:path'
import { type Cache, openCache } from '../src/cache.ts'
import { checkOut, modules, seeded } from './edited-packages.ts'
import { node } from './place.ts'

/**
 * A monorepo of real packages that a few people work on, in branches: they edit, switch, merge, and build with a cache
 * that keeps everything, so that its ledger has what each task really takes and leaves behind. What is edited when
 * is decided by a seed; times belong to the machine.
 */
export async function buildHistory(folder: string, steps: number, told: (line: string) => void): Promise<Cache> {
  const history = new History(folder, await openCache({ cacheDir: path.join(folder, 'cache'), maxCacheSize: '8GiB' }))
  await history.build(PACKAGES)
  for (let step = 1; step <= steps; step++) told(`${step} of ${steps}: ${await history.step()}`)
  return history.cache
}

interface Package {
  readonly name: string
  /** In `node_modules`. */
  readonly from: string
  readonly entry: string
}

const PACKAGES: readonly Package[] = [
  ['protobuf', '@bufbuild/protobuf/dist/esm', 'index.js'],
  ['knip', 'knip/dist', 'index.js'],
  ['zod', 'zod/v4', 'index.js'],
  ['protobufjs', 'protobufjs/src', 'index-minimal.js'],
  ['jsonc', 'jsonc-parser/lib/esm', 'main.js'],
  ['yaml', 'yaml/browser/dist', 'index.js'],
  ['poet', 'ts-poet/build', 'index.js'],
  ['unbash', 'unbash/dist', 'parser.js'],
  ['postcss', 'postcss/lib', 'postcss.js'],
  ['maps', 'source-map-js/lib', 'source-map-generator.js'],
  ['magic', 'magic-string/dist', 'index.mjs'],
  ['toml', 'smol-toml/dist', 'index.js'],
  ['check', 'fast-check/lib', 'fast-check.js'],
  ['chai', 'chai', 'index.js'],
].map(([name, from, entry]) => ({ name, from, entry }) as Package)

/** What a project has of each: checks that print a little, bundles, copies and archives. A tool that finds fault is fine. */
function tasksOf({ entry }: Package): readonly { readonly line: string; readonly outputs: readonly string[] }[] {
  const bin = path.join(modules, '.bin')
  const oxc = path.join(modules, 'oxc-parser/src-js/index.js')
  const parse = `const o=require('${oxc}'),f=require('fs');let n=0;for(const p of f.globSync('src/**/*.{js,mjs}'))n+=o.parseSync(p,f.readFileSync(p,'utf8')).program.body.length;console.log(n)`
  const typescript = '--allowJs --skipLibCheck --target esnext --module esnext --moduleResolution bundler'
  return [
    { line: `${bin}/biome lint --max-diagnostics=20 src || true`, outputs: [] },
    { line: `${bin}/tsc ${typescript} --noEmit --checkJs src/${entry} || true`, outputs: [] },
    {
      line: `${bin}/tsc ${typescript} --declaration --emitDeclarationOnly --outDir types src/${entry} || true`,
      outputs: ['types'],
    },
    {
      line: `${bin}/bun build src/${entry} --target=node --packages=external --outdir bundle --sourcemap=external`,
      outputs: ['bundle'],
    },
    { line: `${bin}/bun build src/${entry} --target=node --packages=external --minify --outdir min`, outputs: ['min'] },
    { line: `${bin}/rolldown src/${entry} --platform node --sourcemap -d rolled`, outputs: ['rolled'] },
    { line: `${node} -e "${parse}"`, outputs: [] },
    { line: 'mkdir -p copy && cp -R src copy/', outputs: ['copy'] },
    { line: 'mkdir -p pack && tar -cf - src | gzip -9 > pack/package.tgz', outputs: ['pack'] },
  ]
}

interface Branch {
  /** The edits of each package on the way to here: the same number is the same content. */
  readonly versions: Map<string, readonly number[]>
  /** What this branch is about. */
  readonly topic: readonly Package[]
}

const BRANCHES = 8

class History {
  readonly cache: Cache
  readonly #folder: string
  readonly #random = seeded(20_261_121)
  readonly #main: Branch = { versions: new Map(), topic: PACKAGES }
  /** Most recently worked on first. */
  #branches: Branch[] = [this.#main]
  #there = new Map<string, string>()
  #edits = 0

  constructor(folder: string, cache: Cache) {
    this.#folder = path.join(folder, 'work')
    this.cache = cache
  }

  async step(): Promise<string> {
    const dice = this.#random()
    const current = this.#branches[0] as Branch
    if (current === this.#main || dice < 0.08) return this.#start()
    if (dice < 0.55) return this.#edit(current)
    if (dice < 0.8) return this.#switch()
    if (dice < 0.9) return this.#merge(current)
    await this.build(PACKAGES)
    return 'built as it is'
  }

  async #start(): Promise<string> {
    const topic = Array.from({ length: 1 + this.#below(3) }, () => PACKAGES[this.#below(PACKAGES.length)] as Package)
    this.#branches.unshift({ versions: new Map(this.#main.versions), topic })
    this.#branches = this.#branches.filter((branch, at) => at < BRANCHES || branch === this.#main)
    await this.build(PACKAGES)
    return `began a branch about ${topic.map(({ name }) => name).join(', ')}`
  }

  async #edit(branch: Branch): Promise<string> {
    const { name } = branch.topic[this.#below(branch.topic.length)] as Package
    branch.versions.set(name, [...(branch.versions.get(name) ?? []), ++this.#edits])
    await this.build(this.#random() < 0.5 ? branch.topic : PACKAGES)
    return `edited ${name}`
  }

  /** Mostly to where somebody was a moment ago, now and then to something old. */
  async #switch(): Promise<string> {
    let at = 1
    while (at < this.#branches.length - 1 && this.#random() < 0.5) at++
    const [branch] = this.#branches.splice(Math.min(at, this.#branches.length - 1), 1)
    this.#branches.unshift(branch as Branch)
    await this.build(PACKAGES)
    return 'switched'
  }

  async #merge(branch: Branch): Promise<string> {
    for (const { name } of branch.topic) {
      const both = [...(this.#main.versions.get(name) ?? []), ...(branch.versions.get(name) ?? [])]
      this.#main.versions.set(name, [...new Set(both)])
    }
    this.#branches = [this.#main, ...this.#branches.filter((other) => other !== branch && other !== this.#main)]
    await this.build(PACKAGES)
    return 'merged'
  }

  async build(packages: readonly Package[]): Promise<void> {
    const { versions } = this.#branches[0] as Branch
    for (const one of new Set(packages)) {
      const cwd = path.join(this.#folder, one.name)
      this.#checkOut(one, cwd, versions.get(one.name) ?? [])
      for (const { line, outputs } of tasksOf(one))
        await this.cache.run({ shell: line, root: this.#folder, cwd, inputs: ['src'], outputs, gitignore: false })
    }
  }

  #checkOut({ name, from }: Package, cwd: string, edits: readonly number[]): void {
    const version = edits.join()
    if (this.#there.get(name) === version) return
    this.#there.set(name, version)
    checkOut(from, cwd, edits)
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}
