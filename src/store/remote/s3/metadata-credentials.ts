import { readFile } from 'node:fs/promises'
import { head } from '../../head.ts'
import { HttpClient, type Question } from '../http/http-client.ts'
import type { LentCredentials } from './credential-source.ts'
import { lentIn } from './lent-credentials.ts'
import type { Environment, S3Address } from './s3-address.ts'

/** Such services are on the same machine; where there is none, nothing answers. */
const PATIENCE = { connectMs: 1_000, idleMs: 2_000 }
const MOST_BYTES = 64 << 10

/**
 * What lends credentials to a container (ECS, EKS) or to a machine of Amazon's (EC2, IMDSv2). The machine is asked only for a bucket that
 * is Amazon's. Undefined where nothing lends any.
 */
export async function metadataCredentials(
  { url }: S3Address,
  environment: Environment,
): Promise<LentCredentials | undefined> {
  const container = containerUrl(environment)
  if (container !== undefined) return containersCredentials(container, environment)
  const isAmazons = /\.amazonaws\.com(\.cn)?$/.test(url.hostname)
  const service = environment.AWS_EC2_METADATA_SERVICE_ENDPOINT || 'http://169.254.169.254'
  if (!isAmazons || environment.AWS_EC2_METADATA_DISABLED === 'true' || !URL.canParse(service)) return undefined
  return machinesCredentials(new URL(service))
}

function containerUrl({
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: relative,
  AWS_CONTAINER_CREDENTIALS_FULL_URI: full,
}: Environment): URL | undefined {
  if (relative) return new URL(relative, 'http://169.254.170.2')
  if (!full || !URL.canParse(full)) return undefined
  const url = new URL(full)
  // In clear text only to where no cable is.
  return url.protocol === 'https:' || LOCAL.test(url.hostname) ? url : undefined
}

const LOCAL = /^(127(\.\d+){3}|localhost|\[::1\]|169\.254\.170\.(2|23)|\[fd00:ec2::23\])$/

async function containersCredentials(url: URL, environment: Environment): Promise<LentCredentials | undefined> {
  const file = environment.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
  const token = file ? (await readFile(file, 'utf8')).trim() : environment.AWS_CONTAINER_AUTHORIZATION_TOKEN
  using client = clientOf(new URL(url.origin))
  const path = `${url.pathname}${url.search}`
  const headers = token ? { authorization: token } : {}
  return lentIn((await textOf(client, { method: 'GET', path, headers, signal: undefined })) ?? '')
}

async function machinesCredentials(service: URL): Promise<LentCredentials | undefined> {
  using client = clientOf(service)
  const ask = (method: Question['method'], path: string, headers: Record<string, string>) =>
    textOf(client, { method, path: `/latest/${path}`, headers, signal: undefined })
  const token = await ask('PUT', 'api/token', {
    'x-aws-ec2-metadata-token-ttl-seconds': '21600',
    'content-length': '0',
  })
  if (token === undefined) return undefined
  const shown = { 'x-aws-ec2-metadata-token': token }
  const roles = await ask('GET', ROLES, shown)
  const role = roles?.split('\n', 1)[0]?.trim()
  return role ? lentIn((await ask('GET', `${ROLES}${role}`, shown)) ?? '') : undefined
}

const ROLES = 'meta-data/iam/security-credentials/'

function clientOf(url: URL): HttpClient {
  const place = `the credentials’ service at ${url.host}`
  return new HttpClient({ url, place, headers: {}, tls: {} }, PATIENCE, () => undefined)
}

/** Undefined where nothing answers so. */
async function textOf(client: HttpClient, question: Question): Promise<string | undefined> {
  try {
    await using answer = await client.ask(question)
    const { whole } = await head(answer.body, MOST_BYTES)
    return answer.status === 200 && whole !== undefined ? Buffer.from(whole).toString() : undefined
  } catch {
    return undefined
  }
}
