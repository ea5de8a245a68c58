import { CacheError } from '../../../errors.ts'
import { compressionOf } from '../../local/compression.ts'
import { ArrivedBlobs } from '../arrived-blobs.ts'
import type { RemoteAccess } from '../remote-address.ts'
import type { RemoteEnd, RemoteEndOptions } from '../remote-end.ts'
import { credentialSource } from './credentials/credential-source.ts'
import { NewObjects } from './new-objects.ts'
import { objectKeys } from './object-keys.ts'
import { S3Actions } from './s3-actions.ts'
import { parseS3, type S3Credentials } from './s3-address.ts'
import { S3Blobs } from './s3-blobs.ts'
import { S3Client } from './s3-client.ts'
import { S3Fetches } from './s3-fetches.ts'
import { S3Frames } from './s3-frames.ts'
import { S3Names } from './s3-names.ts'
import { StoredBlobs } from './stored-blobs.ts'

/**
 * A bucket of any S3-compatible store, by an address as {@link parseS3} has it. Its blobs are of use with another store's action results, too.
 * A token is an access key with its secret, and the token of its session where it has one: `ID:SECRET[:SESSION]`. Where headers say who asks,
 * requests are not signed.
 */
export function openS3(text: string, options: RemoteAccess & RemoteEndOptions): RemoteEnd {
  const { s3: access = {}, token, headers = {}, freshHeaders, tls = {}, proxy, tmpDir, connectMs, idleMs } = options
  const address = parseS3(text, access)
  const saysWho = freshHeaders !== undefined || 'authorization' in headers
  const credentials = token === undefined ? (saysWho ? 'none' : access.credentials) : keysIn(token)
  const source = credentialSource(address, { ...access, ...(credentials && { credentials }) })
  const client = new S3Client(address, { headers, freshHeaders, tls, proxy }, source, { connectMs, idleMs })
  const keys = objectKeys(address.prefix)
  const objects = new NewObjects(client)
  const compression = compressionOf(LEVEL)
  const stored = new StoredBlobs(client, keys)
  const bucket = { client, stored, objects, compression, arrived: new ArrivedBlobs(), tmpDir }
  const blobs = new S3Blobs(bucket)
  return {
    blobs,
    actions: new S3Actions(client, keys, blobs, blobs),
    actionsOver: (others) => new S3Actions(client, keys, others),
    ...{ frames: new S3Frames(bucket), fetches: new S3Fetches(bucket), names: new S3Names(client, keys, stored) },
    receivedBytes: () => client.receivedBytes,
    async [Symbol.asyncDispose]() {
      await objects[Symbol.asyncDispose]()
      client[Symbol.dispose]()
    },
  }
}

/** Faster than networks; what a store on this machine has compressed is sent as it is. */
const LEVEL = 3

function keysIn(token: string): S3Credentials {
  const [, accessKeyId = '', secretAccessKey = '', sessionToken] = /^([^:]+):([^:]+)(?::(.+))?$/.exec(token) ?? []
  if (accessKeyId !== '') return { accessKeyId, secretAccessKey, sessionToken }
  throw new CacheError('usage', 'The token for a bucket is not an access key and its secret.', {
    hint: 'Write it as ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN behind it where there is one.',
  })
}
