import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { crc32cOfFew } from '../../digest/crc32c.ts'
import { digestOf } from '../../digest/sha256.ts'
import { readSmallFile } from '../local/small-file.ts'
import type { RemoteAccess } from '../remote/remote-address.ts'

/** A token is given more rights seldom, and who does not want to wait says `recue push`. */
export const DENIED_MS: number = 4 * 60 * 60 * 1000

/** That what is shown to an end may not write there, as the processes that share a cache folder learn it from each other. */
export interface DenialMemory {
  /** Whether anything is remembered that may still hold: to be asked before it is known what will be shown. */
  mayBeDenied(): boolean
  /** Whether it holds for what is shown now. */
  isDenied(access: RemoteAccess): boolean
  deny(access: RemoteAccess): void
  forget(): void
}

/** A file in `dir`, which is made when there is something to say. What does not check out is as nothing known; nothing is thrown. */
export function denialFile(dir: string, place: string, now: () => number = Date.now): DenialMemory {
  const path = `${dir}/${digestOf(Buffer.from(place)).hash.slice(0, 32)}.reads`
  const load = () => {
    try {
      const denial = decoded(readSmallFile(path))
      const leftMs = denial === undefined ? 0 : denial.untilMs - now()
      // A clock that was set back must not make hours of it days.
      return leftMs > 0 && leftMs <= DENIED_MS ? denial : undefined
    } catch {
      return undefined
    }
  }
  return {
    mayBeDenied: () => load() !== undefined,
    isDenied: (access) => load()?.who === whoShows(access),
    deny(access) {
      const line = `${now() + DENIED_MS} ${whoShows(access)}`
      try {
        mkdirSync(dir, { recursive: true, mode: 0o700 })
        writeFileSync(path, `${line} ${crc32cOfFew(Buffer.from(line))}\n`, { mode: 0o600 })
      } catch {
        // Where nothing can be written, each process has to find out by itself.
      }
    },
    forget() {
      try {
        rmSync(path, { force: true })
      } catch {
        // As above.
      }
    },
  }
}

/** Of the credentials only so much that others are told from them, and nobody can find out which they are. */
function whoShows({ token = '', headers = {}, tls = {} }: RemoteAccess): string {
  const shown = JSON.stringify([token, Object.entries(headers).sort(), String(tls.cert ?? '')])
  return digestOf(Buffer.from(shown)).hash.slice(0, 4)
}

function decoded(text: string): { readonly untilMs: number; readonly who: string } | undefined {
  const [, line = '', untilMs, who = '', crc] = /^((\d+) ([0-9a-f]{4})) (\d+)\n$/.exec(text) ?? []
  return crc === String(crc32cOfFew(Buffer.from(line))) ? { untilMs: Number(untilMs), who } : undefined
}
