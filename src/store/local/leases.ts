import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { sha256Hex } from '../../digest/sha256.ts'
import type { Lease, Leases } from '../contracts.ts'
import { isBusy } from './index-busy.ts'
import { isDamaged } from './sqlite-errors.ts'

/**
 * Leases as SQLite's exclusive lock on an empty file each in `folder`: an operating-system lock, which Node offers in no
 * other way, and which the kernel drops with its owner however that dies. Nothing is ever written to the lock file, and
 * nobody may open it but SQLite: closing any other descriptor of it in this process would drop the lock (POSIX fcntl).
 * What the holder says of itself is in a file beside it. The folder is made when first needed.
 */
export function fileLeases(folder: string): Leases {
  return new FileLeases(folder)
}

/** Waiters look again after 5 ms, then ever more seldom: a lease is held for as long as a build step takes. */
const FIRST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 50

/** File names may have 255 bytes, one of them with a suffix. */
const LONGEST_NAME = 200

/** Those who hold or await a lock in this process, by path: the operating system's lock is the whole process's. */
const turns = new Map<string, Turn>()

interface Turn {
  note: string
  readonly waiting: (() => void)[]
}

class FileLeases implements Leases {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async tryHold(name: string): Promise<Lease | undefined> {
    const path = this.#pathOf(name)
    if (turns.has(path)) return undefined
    turns.set(path, { note: '', waiting: [] })
    const lock = this.#lockOrPass(path)
    return lock && new FileLease(name, path, lock)
  }

  async hold(
    name: string,
    options: { note?: string; onWait?: (holder: string) => void; signal?: AbortSignal } = {},
  ): Promise<Lease> {
    options.signal?.throwIfAborted()
    const path = this.#pathOf(name)
    const hasWaited = await takeTurn(path, options)
    let lock = this.#lockOrPass(path, true)
    if (lock === undefined) {
      if (!hasWaited) options.onWait?.(readNote(path))
      lock = await this.#poll(path, options.signal)
    }
    if (options.note !== undefined) this.#writeNote(path, options.note)
    return new FileLease(name, path, lock)
  }

  heldNames(prefix: string): string[] {
    const start = encodedName(prefix)
    return namesIn(this.#folder)
      .filter((name) => name.startsWith(start) && !name.includes('.'))
      .map(decodeURIComponent)
  }

  async #poll(path: string, signal: AbortSignal | undefined): Promise<DatabaseSync> {
    for (let waitMs = FIRST_PAUSE_MS; ; waitMs = Math.min(waitMs * 1.5, LONGEST_PAUSE_MS)) {
      await new Promise((resolve) => setTimeout(resolve, waitMs))
      if (signal?.aborted) {
        passTurn(path)
        throw signal.reason
      }
      const lock = this.#lockOrPass(path, true)
      if (lock !== undefined) return lock
    }
  }

  /** Unless it is kept for another try, the turn goes to the next one when the lock cannot be had. */
  #lockOrPass(path: string, keepTurn = false): DatabaseSync | undefined {
    try {
      const lock = this.#lock(path)
      if (lock === undefined && !keepTurn) passTurn(path)
      return lock
    } catch (error) {
      passTurn(path)
      throw error
    }
  }

  /** Holders unlink the file when they let go, so a lock counts only if the file is still the one that the path names. */
  #lock(path: string): DatabaseSync | undefined {
    for (;;) {
      const before = identityOf(path)
      const db = this.#open(path)
      if (before !== undefined && isLocked(db, path)) {
        if (identityOf(path) === before) return db
      } else if (before !== undefined) {
        db.close()
        return undefined
      }
      db.close()
    }
  }

  #open(path: string): DatabaseSync {
    try {
      return new DatabaseSync(path, { timeout: 0 })
    } catch {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
      return new DatabaseSync(path, { timeout: 0 })
    }
  }

  #writeNote(path: string, note: string): void {
    const turn = turns.get(path)
    if (turn !== undefined) turn.note = note
    try {
      writeFileSync(notePath(path), note)
    } catch {
      // Only told to those who wait.
    }
  }

  #pathOf(name: string): string {
    const encoded = encodedName(name)
    return `${this.#folder}/${encoded.length > LONGEST_NAME ? `~${sha256Hex(name)}` : encoded}`
  }
}

/** Without dots, so that no name is `..` or looks like a note. */
function encodedName(name: string): string {
  return encodeURIComponent(name).replaceAll('.', '%2E')
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    // Made when first needed.
    return []
  }
}

class FileLease implements Lease {
  readonly name: string
  readonly #path: string
  #lock: DatabaseSync | undefined

  constructor(name: string, path: string, lock: DatabaseSync) {
    this.name = name
    this.#path = path
    this.#lock = lock
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const lock = this.#lock
    if (lock === undefined) return
    this.#lock = undefined
    try {
      // While the lock is held, or this could be the file of the next holder.
      if (turns.get(this.#path)?.note !== '') rmSync(notePath(this.#path), { force: true })
      unlinkSync(this.#path)
    } catch {
      // Someone cleared the folder.
    } finally {
      lock.close()
      passTurn(this.#path)
    }
  }
}

/** Waits until nobody else in this process has or wants the lock; true when that took waiting. */
async function takeTurn(
  path: string,
  options: { onWait?: (holder: string) => void; signal?: AbortSignal },
): Promise<boolean> {
  const turn = turns.get(path)
  if (turn === undefined) {
    turns.set(path, { note: '', waiting: [] })
    return false
  }
  options.onWait?.(turn.note === '' ? readNote(path) : turn.note)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const giveUp = () => {
    const place = turn.waiting.indexOf(resolve)
    if (place >= 0) turn.waiting.splice(place, 1)
    reject(options.signal?.reason)
  }
  turn.waiting.push(resolve)
  options.signal?.addEventListener('abort', giveUp, { once: true })
  try {
    await promise
  } finally {
    options.signal?.removeEventListener('abort', giveUp)
  }
  return true
}

function passTurn(path: string): void {
  const turn = turns.get(path)
  const next = turn?.waiting.shift()
  if (turn === undefined || next === undefined) turns.delete(path)
  else {
    turn.note = ''
    next()
  }
}

function isLocked(db: DatabaseSync, path: string): boolean {
  try {
    // Or SQLite would leave an empty journal beside the lock file.
    db.exec('PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if (isBusy(error)) return false
    if (isDamaged(error)) {
      // Something else wrote to it: nobody holds what SQLite takes for no database. The next try makes a new one.
      rmSync(path, { force: true })
      return true
    }
    db.close()
    throw error
  }
}

/** Inode and birth: a number alone may be given to the next file. */
function identityOf(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats && `${stats.ino} ${stats.birthtimeMs}`
}

function notePath(path: string): string {
  return `${path}.note`
}

function readNote(path: string): string {
  try {
    return readFileSync(notePath(path), 'utf8')
  } catch {
    return ''
  }
}
