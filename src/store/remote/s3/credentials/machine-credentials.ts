import type { Environment } from '../s3-address.ts'
import { askLender, type LenderQuestion } from './lender.ts'
import { type LentCredentials, lentIn } from './lent-credentials.ts'

/** What lends credentials to a machine of Amazon's (EC2, IMDSv2). Undefined where this is none, or has no role. */
export async function machineCredentials({
  AWS_EC2_METADATA_DISABLED: disabled = '',
  AWS_EC2_METADATA_SERVICE_ENDPOINT: given,
}: Environment): Promise<LentCredentials | undefined> {
  const service = given || 'http://169.254.169.254'
  if (/^true$/i.test(disabled) || !URL.canParse(service)) return undefined
  const ask = (method: LenderQuestion['method'], path: string, headers: Record<string, string>) =>
    textOf({ method, url: new URL(`/latest/${path}`, service), headers, patience: PATIENCE })
  const token = await ask('PUT', 'api/token', { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' })
  if (token === undefined) return undefined
  const shown = { 'x-aws-ec2-metadata-token': token }
  const roles = await ask('GET', ROLES, shown)
  const role = roles?.split('\n', 1)[0]?.trim()
  return role ? lentIn((await ask('GET', `${ROLES}${role}`, shown)) ?? '') : undefined
}

/** It is near where it is there. Where it is not, nothing answers at all, and a laptop is not to wait for it. */
const PATIENCE = { connectMs: 1_000, idleMs: 2_000 }
const ROLES = 'meta-data/iam/security-credentials/'

/** Undefined where nothing answers so: on most machines nothing does. */
async function textOf(question: LenderQuestion): Promise<string | undefined> {
  try {
    const { status, text } = await askLender(question)
    return status === 200 ? text : undefined
  } catch {
    return undefined
  }
}
