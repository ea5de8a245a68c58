import { readFileSync } from 'node:fs'
import { CacheError, systemCode } from '../../errors.ts'
import { type Gate, gateOf, OPEN } from '../../server/access.ts'

export interface GateChoice {
  /** The file of tokens, as it was named and as it is opened. */
  readonly tokens: { readonly name: string; readonly file: string } | undefined
  /** Only this machine reaches the addresses, or only who shows a certificate. */
  readonly isGuarded: boolean
  readonly open: boolean
}

/** Throws `usage`, where other machines could come and nothing is asked of them, and `config.invalid` of the file of tokens. */
export function gateFor({ tokens, isGuarded, open }: GateChoice): Gate {
  if (tokens !== undefined) return gateOf(textOf(tokens), tokens.name)
  if (isGuarded || open) return OPEN
  throw new CacheError('usage', 'Other machines could reach this address, and no tokens are asked for.', {
    hint: 'Name a file of them with --tokens; or say --open, if whoever reaches it may read and write.',
  })
}

function textOf({ name, file }: { readonly name: string; readonly file: string }): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CacheError('usage', `--tokens: ${name} cannot be read (${systemCode(cause) ?? cause}).`, { cause })
  }
}
