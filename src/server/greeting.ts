import { VERSION } from '../version.ts'
import type { Access } from './access.ts'
import type { Reply } from './protocol.ts'

/** Where a client asks what answers, and what its token may: {@link Greeting}. */
export const GREETING_PATH = '/recue'

/** Also below an instance, so that an address with one can be asked. */
export function isGreeting(path: string): boolean {
  return path.endsWith(GREETING_PATH) && /^(\/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?\/recue$/.test(path)
}

/** Who shows no token that is known hears `none`, and no version. */
export interface Greeting {
  readonly server: 'recue'
  readonly access: Access
  readonly version?: string
}

/** Tells a recue from whatever else may stand at an address. It is the same for all protocols, and never a fault of theirs. */
export function greeting(access: Access): Reply {
  const said: Greeting = { server: 'recue', access, ...(access !== 'none' && { version: VERSION }) }
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: `${JSON.stringify(said)}\n`,
  }
}
