import type { InputTree } from '../key/keyed-action.ts'
import type { InputSelection } from '../request.ts'
import { baseOf, type InputPlace, loadKnown, selectionText } from './known-inputs.ts'
import { inputTreeOf } from './known-tree.ts'

export type InputOutcome =
  | { readonly kind: 'tree'; readonly tree: InputTree }
  | { readonly kind: 'unkeyable'; readonly reason: string }

/**
 * The input tree that a selection means now. Three ways, the cheapest that is right: nothing changed since the last
 * snapshot, and its root digest is the answer; known files changed, and those alone are hashed; else all is listed again,
 * and what has the identity of the snapshot keeps its digest.
 */
export async function findInputs(selection: InputSelection, place: InputPlace): Promise<InputOutcome> {
  const text = selectionText(selection, place)
  const known = loadKnown(place, text)
  if (known !== undefined && place.files === undefined) {
    const first = known.snapshot.nextChange(baseOf(place.root))
    if (first === -1) {
      place.witness?.held('inputs', known.snapshot)
      return { kind: 'tree', tree: inputTreeOf(known, place) }
    }
    const { refreshInputs } = await import('./input-refresh.ts')
    const refreshed = await refreshInputs(known, first, place)
    if (refreshed !== undefined) return { kind: 'tree', tree: inputTreeOf(refreshed, place) }
  }
  const { scanInputs } = await import('./input-scan.ts')
  const scan = await scanInputs(selection, text, known, place)
  return scan.kind === 'unkeyable' ? scan : { kind: 'tree', tree: inputTreeOf(scan.known, place) }
}
