import { CacheError } from '../../errors.ts'
import { addressesIn, parted } from './address-list.ts'
import { destinationOf } from './remote-origin.ts'

/** One of several remote caches that are used as one. */
export interface RemoteMember {
  readonly address: string
  /** Who it is, whatever its address: by it keys are placed. */
  readonly name: string
  /** Its share, compared with the others'. */
  readonly weight: number
}

/**
 * Those that a text names: addresses with commas between them, each with `#weight=2`, `#name=one` or `#weight=2&name=one` behind it where
 * that is to be said. A name is the address unless said, a weight 1. Throws `usage`.
 */
export function remoteMembers(text: string): RemoteMember[] {
  const members = addressesIn(text).map(memberIn)
  const twice = members.find(({ name }, i) => members.findIndex((other) => other.name === name) < i)
  if (twice === undefined) return members
  throw new CacheError('usage', `The remote cache ${twice.name} is named twice.`, {
    hint: 'Name each once; a larger share is said by #weight=2 behind an address.',
  })
}

function memberIn(text: string): RemoteMember {
  const { address, said } = parted(text)
  const values = new URLSearchParams(said)
  const { place } = destinationOf(address)
  const { name = place, weight = '1', ...others } = Object.fromEntries(values)
  const isRight = name !== '' && /^\d+(\.\d+)?$/.test(weight) && Number(weight) > 0 && Object.keys(others).length === 0
  if (isRight) return { address, name, weight: Number(weight) }
  throw new CacheError('usage', `"#${said}" behind ${place} is not understood.`, {
    hint: 'Behind an address may stand #weight=2, #name=one, or #weight=2&name=one.',
  })
}
