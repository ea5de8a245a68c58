import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { CacheError } from '../../../../errors.ts'
import type { Environment } from '../s3-address.ts'
import { type LentCredentials, lentIn } from './lent-credentials.ts'

/** Some ask a person, in a browser. */
const PROGRAM_MS = 60_000

/**
 * What a `credential_process` of a profile prints. It runs in the root folder: interpreters load what lies in the one they are started in,
 * and a checkout is not its user's. Throws `remote.denied` where it gives none.
 */
export async function credentialsOfProgram(program: string, environment: Environment): Promise<LentCredentials> {
  try {
    const options = { cwd: '/', env: { ...environment }, timeout: PROGRAM_MS }
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', program], options)
    const lent = lentIn(stdout)
    if (lent !== undefined) return lent
  } catch {
    // What it printed, and how it was called, may be secret.
  }
  throw new CacheError('remote.denied', 'The credential_process of the profile gave no credentials.', {
    hint: 'Run it by itself: it has to print JSON with AccessKeyId and SecretAccessKey.',
  })
}
