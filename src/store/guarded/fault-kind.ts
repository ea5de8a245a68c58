import { isCacheError } from '../../errors.ts'

/**
 * What an error says of an end. `away`: it may be there the next moment. `busy`: it is there, and says that it is asked too much. `failing`: it is of no use now. `refusing`: it will say the
 * same of all that is like it. `answer`: it works, and this is its answer. `ours`: nothing, for it happened here.
 */
export type FaultKind = 'away' | 'busy' | 'failing' | 'refusing' | 'answer' | 'ours'

export function faultKind(error: unknown): FaultKind {
  if (!isCacheError(error)) return 'ours'
  switch (error.code) {
    case 'remote.unreachable':
    case 'remote.timed-out':
      return error.context.isBusy === true ? 'busy' : 'away'
    case 'remote.failed':
    case 'store.corrupt':
    // Also what a proxy says for a moment while there is nothing behind it.
    case 'remote.incompatible':
      return 'failing'
    case 'remote.denied':
    case 'remote.tls':
      return 'refusing'
    case 'store.incomplete':
    case 'store.read-only':
      return 'answer'
    case 'store.full':
      // Of the end where it is named; else of a disk here.
      return error.context.server === undefined ? 'ours' : 'refusing'
    default:
      return 'ours'
  }
}
