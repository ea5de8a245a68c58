import { asActionDigest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { isCacheError } from '../../errors.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { readWhole } from '../../store/read-whole.ts'
import { reapiEnd } from '../../store/remote/reapi/reapi-end.ts'
import type { RemoteEnd } from '../../store/remote/remote-end.ts'
import { authorizationOf, placeOf, type ServerAddress } from '../server-address.ts'
import type { Finding } from './finding.ts'
import { STEP_MS } from './http-round-trip.ts'

/** Puts a blob and a result that names it, gets both back, and compares: what Bazel, Buck2, moon and Pants do. */
export async function reapiRoundTrip(address: ServerAddress, nonce: string): Promise<Finding> {
  const server = { ...address, place: placeOf(address), headers: authorizationOf(address) }
  await using end = reapiEnd(server, { connectMs: STEP_MS, idleMs: STEP_MS })
  try {
    return await roundTrip(end, address.instance, Buffer.from(nonce))
  } catch (error) {
    if (!isCacheError(error)) throw error
    return failed(error.message, error.hint)
  }
}

async function roundTrip({ blobs, actions }: RemoteEnd, instance: string, data: Buffer): Promise<Finding> {
  const digest = digestOf(data)
  const action = asActionDigest(digestOf(Buffer.from(`action of ${data}`)))
  await blobs.write({ instance }, digest, data)
  const outputFiles = [{ path: 'out', digest, isExecutable: false, contents: Buffer.alloc(0) }]
  await actions.put({ instance }, action, { ...ActionResult.decode(new Uint8Array(0)), outputFiles })
  const found = await actions.get({ instance }, action)
  if (found.kind === 'miss' || found.result.outputFiles[0]?.digest?.hash !== digest.hash)
    return failed('another result came back than was put')
  const read = await readWhole(blobs, { instance }, digest)
  if (read === undefined || !data.equals(read)) return failed('other bytes came back than were put')
  return { name: 'round trip', status: 'ok', what: 'put a blob and a result over gRPC, and got both back' }
}

function failed(what: string, hint?: string): Finding {
  return { name: 'round trip', status: 'fail', what, ...(hint !== undefined && { hint }) }
}
