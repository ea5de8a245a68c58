import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { readWhole } from '../read-whole.ts'
import { type ChaosEnd, chaosEnd, type Fault } from './chaos-end.fixture.ts'
import { type TieredStore, tiered } from './tiered.ts'
import { forgetfulStore, keepResult } from './tiers.fixture.ts'

const larges: Buffer[] = []
const large = (version: number): Buffer => (larges[version] ??= content(1_100_000, version))

/** What a build of version `version` of a thing leaves: blobs that others share, and one that is large. */
const built = (thing: number, version: number): Buffer[] => [
  Buffer.from(`thing ${thing} version ${version}`),
  content(2_000, thing),
  ...(thing === 0 ? [large(version)] : []),
]

/** RECUE_RUNS asks for more. */
const RUNS = Number(process.env.RECUE_RUNS ?? 25)

type Step =
  | { readonly do: 'build' | 'others build' | 'use'; readonly thing: number }
  | { readonly do: 'remove'; readonly thing: number }
  | { readonly do: 'evict'; readonly thing: number }
  | { readonly do: 'fill' | 'restart' | 'flush' }

const thing = fc.nat({ max: 2 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('build', 'others build', 'use', 'use', 'use'), thing }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('remove' as const, 'evict' as const), thing }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('fill' as const, 'restart' as const, 'flush' as const) }) },
)
const FAULTS: readonly Fault[] = ['fails', 'is away', 'hangs', 'has nothing', 'breaks off', 'is wrong']
const faults = fc.array(fc.option(fc.constantFrom(...FAULTS), { freq: 2, nil: undefined }), { maxLength: 40 })

/** A machine with a store of its own, whose process may end and begin again, and a far end that others write to. */
class Machine {
  readonly near = forgetfulStore()
  readonly far = memoryStore()
  readonly #faults: (Fault | undefined)[]
  /** Versions of each thing that anybody put; those this machine put last, while nothing took them away. */
  readonly #built = new Map<number, number>()
  readonly own = new Map<number, number>()
  nowMs = 1_700_000_000_000
  end: ChaosEnd
  tier: TieredStore

  constructor(faults: readonly (Fault | undefined)[]) {
    this.#faults = [...faults]
    this.end = chaosEnd(this.far, () => this.#faults.shift())
    this.tier = this.#open()
  }

  async take(next: Step): Promise<void> {
    this.nowMs += 20_000
    switch (next.do) {
      case 'build':
        return this.#build(next.thing)
      case 'others build':
        await keepResult(this.far, `${next.thing}`, built(next.thing, this.#version(next.thing)))
        return
      case 'use':
        return this.#use(next.thing)
      case 'remove':
        await this.tier.actions.remove(scope, action(`${next.thing}`))
        this.own.delete(next.thing)
        return
      case 'evict':
        this.near.lost.add(digestOf(content(2_000, next.thing)).hash)
        this.own.delete(next.thing)
        return
      case 'fill':
        this.near.isFull = !this.near.isFull
        return
      case 'restart':
        await this.tier[Symbol.asyncDispose]()
        this.tier = this.#open()
        return
      case 'flush':
        await this.tier.flush(50)
    }
  }

  /** Nothing goes wrong any more. */
  async recover(): Promise<void> {
    this.#faults.length = 0
    this.near.isFull = false
    this.nowMs += 60_000
    await this.take({ do: 'restart' })
    await this.tier.resume()
  }

  #open(): TieredStore {
    return tiered(this.near, async () => this.end, { place: 'far', now: () => this.nowMs })
  }

  #version(thing: number): number {
    const version = (this.#built.get(thing) ?? 0) + 1
    this.#built.set(thing, version)
    return version
  }

  /** A full disk is told to who writes, as it is without a far end. */
  async #build(thing: number): Promise<void> {
    const version = this.#version(thing)
    const keeping = keepResult(this.tier, `${thing}`, built(thing, version))
    if (this.near.isFull) return expect(keeping).rejects.toMatchObject({ code: 'store.full' })
    await keeping
    this.own.set(thing, version)
  }

  /** Complete and right, or not there. */
  async #use(thing: number): Promise<void> {
    const found = await this.tier.actions.get(scope, action(`${thing}`))
    if (found.kind === 'miss') return expect(this.own.has(thing)).toBe(false)
    const named = found.result.outputFiles.map(({ digest }) => digest?.hash)
    const versions = Array.from({ length: this.#built.get(thing) ?? 0 }, (_, at) => at + 1)
    const version = versions.find((at) => built(thing, at).every((bytes, i) => digestOf(bytes).hash === named[i]))
    expect(version).toBeDefined()
    const own = this.own.get(thing)
    if (own !== undefined) expect(version).toBe(own)
    for (const bytes of built(thing, version ?? 0)) {
      const read = await readWhole(this.tier.blobs, scope, digestOf(bytes))
      if (read !== undefined || own !== undefined) expect(bytes.equals(read ?? Buffer.alloc(0))).toBe(true)
    }
  }
}

test('whatever a far end does, a build sees results that are whole and its own, and no faults', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), faults, async (steps, wrong) => {
      const machine = new Machine(wrong)
      for (const next of steps) await machine.take(next)
      await machine.recover()
      expect(await machine.tier.flush(10_000)).toEqual({ uploads: 0, downloads: 0 })
      expect(machine.end.incompletePuts).toBe(0)
      for (let at = 0; at < 3; at++) await machine.take({ do: 'use', thing: at })
      await machine.tier[Symbol.asyncDispose]()
    }),
    { numRuns: RUNS },
  )
})

test('what was put while the far end did as it liked is all there in the end', async () => {
  await fc.assert(
    fc.asyncProperty(faults, async (wrong) => {
      const machine = new Machine(wrong)
      for (const at of [0, 1, 2, 1]) await machine.take({ do: 'build', thing: at })
      await machine.tier.flush(50)
      await machine.recover()
      await machine.tier.flush(10_000)
      for (const [at, version] of machine.own) {
        const found = await machine.far.actions.get(scope, action(`${at}`))
        expect(found).toMatchObject({ kind: 'hit', result: result(built(at, version).map(digestOf)) })
      }
      await machine.tier[Symbol.asyncDispose]()
    }),
    { numRuns: RUNS },
  )
})
