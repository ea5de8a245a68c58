import { readFile } from 'node:fs/promises'
import { sha256Hex } from '../../../../digest/sha256.ts'
import { CacheError, systemCode } from '../../../../errors.ts'
import { proxyFor } from '../../proxy.ts'
import type { Environment, S3Credentials } from '../s3-address.ts'
import { codeIn, elementIn } from '../s3-fault.ts'
import { Signer } from '../sigv4.ts'
import { askLender, lentNothing } from './lender.ts'
import { type LentCredentials, lentBy } from './lent-credentials.ts'

/** What is to be played. */
export interface Role {
  readonly arn: string
  /** By which its owner finds it in logs. */
  readonly sessionName?: string | undefined
  readonly externalId?: string | undefined
  readonly durationSeconds?: string | undefined
}

/** From where a role is asked for. */
export interface Site {
  readonly environment: Environment
  readonly region: string
}

/** A role by a token of whoever runs this, which is read from a file each time, as it is replaced there (EKS; STS's AssumeRoleWithWebIdentity). */
export async function webIdentityCredentials(role: Role, tokenFile: string, site: Site): Promise<LentCredentials> {
  const token = await readFile(tokenFile, 'utf8').catch((cause) => {
    const why = systemCode(cause) ?? cause
    throw new CacheError('remote.denied', `The web identity token in ${tokenFile} cannot be read (${why}).`, { cause })
  })
  return lentFor({ Action: 'AssumeRoleWithWebIdentity', WebIdentityToken: token.trim() }, role, site, undefined)
}

/** A role by other credentials (STS's AssumeRole). */
export function assumedCredentials(role: Role, own: S3Credentials, site: Site): Promise<LentCredentials> {
  const { externalId } = role
  return lentFor({ Action: 'AssumeRole', ...(externalId && { ExternalId: externalId }) }, role, site, own)
}

async function lentFor(
  asked: Readonly<Record<string, string>>,
  { arn, sessionName, durationSeconds }: Role,
  { environment, region }: Site,
  own: S3Credentials | undefined,
): Promise<LentCredentials> {
  const url = serviceFor(region, environment)
  const name = sessionName || environment.AWS_ROLE_SESSION_NAME || `recue-${Date.now()}`
  const duration = durationSeconds ? { DurationSeconds: durationSeconds } : {}
  const body = `${new URLSearchParams({ Version: '2011-06-15', RoleArn: arn, RoleSessionName: name, ...duration, ...asked })}`
  const form = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
  const { host, pathname: path } = url
  const unsigned = { method: 'POST', host, path, query: '', headers: form, payloadHash: sha256Hex(body) }
  const headers = own === undefined ? form : new Signer(region, 'sts').sign(unsigned, own, new Date())
  const answer = await askLender({ method: 'POST', url, headers, body, proxy: proxyFor({ url }, environment) })
  const words = ['AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration']
  const said = Object.fromEntries(words.map((word) => [word, elementIn(answer.text, word)]))
  const lent = answer.status === 200 ? lentBy(said) : undefined
  if (lent !== undefined) return lent
  throw lentNothing(url, answer, codeIn(answer.text), `Is ${arn} a role, and may it be assumed from here?`)
}

function serviceFor(region: string, { AWS_ENDPOINT_URL_STS: own, AWS_ENDPOINT_URL: all }: Environment): URL {
  const given = own || all
  const amazons = `https://sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
  return new URL(given && URL.canParse(given) ? given : amazons)
}
