import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { type StatIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { compareUtf8 } from '../key/utf8-order.ts'

/** One thing found in an output; of a file nothing is known yet, since opening it tells more than looking at it. */
export type Found =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'directory'; readonly path: string; readonly identity: StatIdentity }
  | { readonly kind: 'link'; readonly path: string; readonly identity: StatIdentity; readonly target: string }

/** Why an output cannot be kept, in one line. Thrown within the capture, which gives it back as a value. */
export class Unkeepable extends Error {}

/** What is at `path`, a folder followed by all in it, names in REAPI's order; undefined when nothing is there. */
export function listOutput(root: string, path: string): Found[] | undefined {
  const stats = lstatSync(`${root}/${path}`, { throwIfNoEntry: false })
  if (stats === undefined) return undefined
  const found: Found[] = []
  if (stats.isDirectory()) addFolder(root, path, stats.dev, found)
  else if (stats.isSymbolicLink()) found.push(link(root, path))
  else if (stats.isFile()) found.push({ kind: 'file', path })
  else throw special(path)
  return found
}

function addFolder(root: string, path: string, device: number, found: Found[]): void {
  const stats = lstatSync(`${root}/${path}`)
  if (stats.dev !== device) throw new Unkeepable(`another file system is mounted at "${path}"`)
  found.push({ kind: 'directory', path, identity: statIdentity(stats) })
  const folders: string[] = []
  for (const entry of readFolder(root, path)) {
    const inner = `${path}/${entry.name}`
    if (entry.isDirectory()) folders.push(inner)
    else if (entry.isFile()) found.push({ kind: 'file', path: inner })
    else if (entry.isSymbolicLink()) found.push(link(root, inner))
    else throw special(inner)
  }
  for (const folder of folders) addFolder(root, folder, device, found)
}

function readFolder(root: string, path: string) {
  try {
    const entries = readdirSync(`${root}/${path}`, { withFileTypes: true })
    if (entries.some(({ name }) => name.includes('\uFFFD')) && hasOddNames(`${root}/${path}`)) {
      throw new Unkeepable(`a file name in "${path}" is not UTF-8`)
    }
    return entries.sort((a, b) => compareUtf8(a.name, b.name))
  } catch (error) {
    if (error instanceof Unkeepable) throw error
    throw new Unkeepable(`the folder "${path}" cannot be read`)
  }
}

/** U+FFFD may be a character of a name, or stand for bytes that are none. */
function hasOddNames(folder: string): boolean {
  return readdirSync(folder, { encoding: 'buffer' }).some((name) => !Buffer.from(name.toString('utf8')).equals(name))
}

function link(root: string, path: string): Found {
  const absolute = `${root}/${path}`
  const text = readlinkSync(absolute, { encoding: 'buffer' })
  const target = text.toString('utf8')
  if (!Buffer.from(target).equals(text)) throw new Unkeepable(`the link "${path}" points to a name that is not UTF-8`)
  return { kind: 'link', path, identity: statIdentity(lstatSync(absolute)), target }
}

function special(path: string): Unkeepable {
  return new Unkeepable(`"${path}" is neither a file, a folder nor a symlink`)
}
