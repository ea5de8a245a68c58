import { closeSync, mkdirSync, openSync, renameSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { crc32cOfFew } from '../../digest/crc32c.ts'
import { digestOf } from '../../digest/sha256.ts'
import { systemCode } from '../../errors.ts'
import { readSmallFile } from '../local/small-file.ts'
import type { BreakerMemory, BreakerState } from './breaker.ts'

/**
 * What is known of the end `place`, as a file in `dir`, which is made when there is something to say: one line with its CRC32C.
 * What does not check out is as nothing known. Where nothing can be written, each process has to find out by itself.
 */
export function breakerFile(dir: string, place: string): BreakerMemory {
  return new BreakerFile(dir, `${dir}/${digestOf(Buffer.from(place)).hash.slice(0, 32)}`)
}

/** What is known for as long as the process lives. */
export function breakerInMemory(): BreakerMemory {
  let kept: BreakerState | undefined
  return {
    load: () => kept,
    save(state) {
      if (kept !== undefined && state.version <= kept.version) return 'overtaken'
      kept = state
      return 'saved'
    },
  }
}

class BreakerFile implements BreakerMemory {
  readonly #dir: string
  readonly #path: string

  constructor(dir: string, path: string) {
    this.#dir = dir
    this.#path = path
  }

  load(): BreakerState | undefined {
    try {
      return decoded(readSmallFile(this.#path))
    } catch {
      return undefined
    }
  }

  save(state: BreakerState): 'saved' | 'overtaken' | 'unable' {
    // Whoever saves the same version cannot make this file, or finds afterwards that the version is there.
    const staged = `${this.#path}.${state.version}`
    try {
      if (!this.#stage(staged, encoded(state))) return 'overtaken'
      if ((this.load()?.version ?? 0) >= state.version) {
        unlinkSync(staged)
        return 'overtaken'
      }
      renameSync(staged, this.#path)
      return 'saved'
    } catch {
      return 'unable'
    }
  }

  #stage(path: string, line: string): boolean {
    try {
      write(path, line)
    } catch (error) {
      const code = systemCode(error)
      if (code === 'EEXIST') return this.#isLeftOver(path) && this.#stageAgain(path, line)
      if (code !== 'ENOENT') throw error
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 })
      write(path, line)
    }
    return true
  }

  /** Of a process that was killed within a moment. */
  #isLeftOver(path: string): boolean {
    try {
      return Math.abs(Date.now() - statSync(path).mtimeMs) > LEFT_OVER_MS
    } catch {
      return false
    }
  }

  #stageAgain(path: string, line: string): boolean {
    try {
      unlinkSync(path)
      write(path, line)
      return true
    } catch {
      return false
    }
  }
}

const LEFT_OVER_MS = 10_000

function write(path: string, line: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, line)
  } finally {
    closeSync(file)
  }
}

function encoded({ version, trips, untilMs, savedMs, firstAnswerMs }: BreakerState): string {
  const line = [version, trips, untilMs, savedMs, firstAnswerMs].map((number) => Math.round(number)).join(' ')
  return `${line} ${crc32cOfFew(Buffer.from(line))}\n`
}

function decoded(text: string): BreakerState | undefined {
  const [line = '', crc] = text.split(/ (?=\d+\n$)/)
  const [version, trips, untilMs, savedMs, firstAnswerMs, ...more] = line.split(' ').map(Number)
  if (crc !== `${crc32cOfFew(Buffer.from(line))}\n` || firstAnswerMs === undefined || more.length > 0) return undefined
  return {
    version: version as number,
    trips: trips as number,
    untilMs: untilMs as number,
    savedMs: savedMs as number,
    firstAnswerMs,
  }
}
