import { relative, resolve, sep } from 'node:path'
import { CacheError } from '../../errors.ts'
import type { InputTree, OutputDeclaration } from '../key/keyed-action.ts'
import { globsMeet } from './glob-overlap.ts'
import { expandGlobs, filesIn, globBase, globMatcher, isGlob } from './output-globs.ts'
import { namesGit, type OutputPlace, objectionTo, realOf, resolvedParent } from './output-places.ts'

/**
 * The outputs that `-o` and config declare, relative to the root, sorted, each only once: what lies in a declared folder
 * is declared with it. Throws `output.refused` for what recue must never own. Whether they meet inputs is asked later,
 * by {@link refuseInputsAmong}.
 */
export function declareOutputs(patterns: readonly string[], place: OutputPlace): readonly OutputDeclaration[] {
  return merged(patterns.map((pattern) => declare(pattern, place)))
}

/**
 * Throws `output.refused` for an output that is or contains an input. It lists the outputs on disk, so ask before a
 * command runs, not before a hit is replayed: a result under this key was kept only after it had been asked.
 */
export async function refuseInputsAmong(
  outputs: readonly OutputDeclaration[],
  inputs: Pick<InputTree, 'has'>,
  workspace: { readonly root: string; readonly cacheDir: string },
): Promise<void> {
  for (const { kind, path } of outputs) {
    if (kind === 'path' && inputs.has(path)) throw refused(path, 'is an input')
    const files = kind === 'glob' ? await expandGlobs(workspace, [path]) : filesIn(workspace.root, path, () => false)
    for (const file of files) {
      if (inputs.has(file)) {
        throw refused(path, `${kind === 'glob' ? 'matches' : 'contains'} the input "${file}"`, {
          hint: `Leave it out of the inputs (-i '!${file}'), or narrow the output.`,
        })
      }
    }
  }
}

/** The first output of one task that is, contains, or lies in an output of another: they would undo each other's work. */
export async function clashingOutputs(
  one: readonly OutputDeclaration[],
  other: readonly OutputDeclaration[],
): Promise<readonly [OutputDeclaration, OutputDeclaration] | undefined> {
  for (const a of one) {
    for (const b of other) if ((await clash(a, b)) || (await clash(b, a))) return [a, b]
  }
  return undefined
}

async function clash(a: OutputDeclaration, b: OutputDeclaration): Promise<boolean> {
  if (a.kind === 'glob') return b.kind === 'glob' ? globsMeet(a.path, b.path) : (await globMatcher([a.path]))(b.path)
  return (b.kind === 'path' && a.path === b.path) || covers(a, b)
}

function declare(pattern: string, place: OutputPlace): OutputDeclaration {
  if (pattern === '') throw refused(pattern, 'is empty')
  if (pattern.includes('\0')) throw refused(pattern, 'has a zero byte in it')
  if (pattern.startsWith('!') && !pattern.startsWith('!(')) {
    throw refused(pattern, 'is a negation, which outputs cannot be', { hint: 'Name what is made, not what is not.' })
  }
  const written = pattern === '~' || pattern.startsWith('~/') ? place.home + pattern.slice(1) : pattern
  return isGlob(written) ? declareGlob(pattern, written, place) : declarePath(pattern, written, place)
}

function declarePath(pattern: string, written: string, place: OutputPlace): OutputDeclaration {
  const literal = sep === '/' ? written.replace(/\\(.)/g, '$1') : written
  const absolute = inRoot(resolve(place.root, place.workingDirectory, literal), place)
  const objection = objectionTo(absolute, place)
  if (objection !== undefined) throw refused(pattern, objection)
  return { kind: 'path', path: rootRelative(absolute, place) }
}

/** A glob deletes nothing, so its folder may be the root; what it may not do is match everything in a place of the user's. */
function declareGlob(pattern: string, written: string, place: OutputPlace): OutputDeclaration {
  const base = globBase(written)
  const rest = written.slice(base === '' ? 0 : base.length + 1)
  if (rest.split('/').includes('..')) throw refused(pattern, 'goes up behind a wildcard')
  if (namesGit(written)) throw refused(pattern, 'is in .git')
  const folder = inRoot(resolve(place.root, place.workingDirectory, base), place)
  const objection = objectionTo(`${folder}${sep}${rest.split('/')[0]}`, place)
  if (objection !== undefined) throw refused(pattern, objection)
  if (/^[*/]+$/.test(rest)) {
    const everything = objectionTo(folder, place)
    if (everything !== undefined) throw refused(pattern, `matches everything in a folder that ${everything}`)
  }
  const from = rootRelative(folder, place)
  return { kind: 'glob', path: from === '' ? rest : `${from}/${rest}` }
}

/** An absolute path may be written through a link to the root (`/tmp` on macOS): then it is spelled by the root. */
function inRoot(absolute: string, place: OutputPlace): string {
  const spelled = relative(place.root, absolute)
  if (!spelled.startsWith('..')) return absolute
  const real = relative(realOf(place.root), resolvedParent(absolute))
  return real.startsWith('..') ? absolute : resolve(place.root, real)
}

function rootRelative(absolute: string, place: OutputPlace): string {
  const path = relative(place.root, absolute)
  return sep === '/' ? path : path.replaceAll(sep, '/')
}

function merged(declared: readonly OutputDeclaration[]): OutputDeclaration[] {
  const kept = declared.filter(
    (output, i) =>
      !declared.some((other, j) => i !== j && covers(other, output) && (other.path !== output.path || j < i)),
  )
  return kept.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
}

/** Whether all that `inner` may be lies in or at `outer`. */
function covers(outer: OutputDeclaration, inner: OutputDeclaration): boolean {
  if (outer.kind === 'glob') return inner.kind === 'glob' && outer.path === inner.path
  const place = inner.kind === 'path' ? inner.path : globBase(inner.path)
  return place === outer.path || place.startsWith(`${outer.path}/`)
}

function refused(pattern: string, reason: string, options: { hint?: string } = {}): CacheError {
  return new CacheError('output.refused', `The output "${pattern}" ${reason}.`, {
    hint: options.hint ?? 'Declare the folder or file that the command makes, for example -o dist.',
    context: { output: pattern },
  })
}
