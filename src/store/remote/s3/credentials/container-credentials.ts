import { readFile } from 'node:fs/promises'
import { CacheError, systemCode } from '../../../../errors.ts'
import type { Environment } from '../s3-address.ts'
import { askLender, lentNothing } from './lender.ts'
import { type LentCredentials, lentIn } from './lent-credentials.ts'

/**
 * What lends credentials to a container: on ECS, or EKS Pod Identity. Undefined where this is none. Throws `remote.denied` where it is
 * one and is lent none.
 */
export async function containerCredentials(environment: Environment): Promise<LentCredentials | undefined> {
  const url = serviceIn(environment)
  if (url === undefined) return undefined
  const token = await tokenIn(environment)
  const answer = await askLender({ method: 'GET', url, ...(token && { headers: { authorization: token } }) })
  const lent = answer.status === 200 ? lentIn(answer.text) : undefined
  if (lent !== undefined) return lent
  throw lentNothing(url, answer, '', 'Has the task or the pod a role, and may it still run?')
}

function serviceIn({
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: relative,
  AWS_CONTAINER_CREDENTIALS_FULL_URI: full,
}: Environment): URL | undefined {
  if (relative) return new URL(`http://169.254.170.2${relative.startsWith('/') ? '' : '/'}${relative}`)
  if (!full) return undefined
  const url = URL.canParse(full) ? new URL(full) : undefined
  // In clear text only to where no cable is.
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && LOCAL.test(url.hostname))) return url
  throw new CacheError(
    'remote.denied',
    'AWS_CONTAINER_CREDENTIALS_FULL_URI leads to where credentials are not asked for.',
    { hint: 'It has to be https, or http to this machine or to the service of ECS or EKS beside it.' },
  )
}

const LOCAL = /^(127(\.\d+){3}|localhost|\[::1\]|169\.254\.170\.(2|23)|\[fd00:ec2::23\])$/

/** Read each time: it is replaced while this runs. */
async function tokenIn({
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
  AWS_CONTAINER_AUTHORIZATION_TOKEN: given,
}: Environment): Promise<string | undefined> {
  if (!file) return given || undefined
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new CacheError(
      'remote.denied',
      `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read (${systemCode(cause) ?? cause}).`,
      { cause },
    )
  }
}
