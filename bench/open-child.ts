/** `open-child.ts STORE HASH`: opens, looks one action up, ends. */
import { asActionDigest } from '../src/digest/digest.ts'
import { DEFAULT_SCOPE } from '../src/store/contracts.ts'
import { openLocalStore } from '../src/store/local/local-store.ts'

const [dir, hash] = process.argv.slice(2) as [string, string]

async function main(): Promise<void> {
  await using store = await openLocalStore({ dir })
  const found = await store.actions.get(DEFAULT_SCOPE, asActionDigest({ hash, sizeBytes: 142 }))
  if (found.kind !== 'hit') process.exitCode = 1
}

void main()
