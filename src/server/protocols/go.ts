import { bytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import {
  METHOD_NOT_ALLOWED,
  NOT_FOUND,
  type Protocol,
  type ProtocolRequest,
  type Reply,
  type Served,
} from '../protocol.ts'

/** When an output was made, as Go wants it back with a hit: by it the results of tests grow too old. RFC 3339. */
export const GO_TIME_HEADER = 'recue-time'
/** The output's name: SHA-256 of its bytes, in hex. */
export const GO_OUTPUT_HEADER = 'recue-output'

const ACTION = /^[0-9a-f]{2,128}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/
const TEXT = { 'content-type': 'text/plain' }

/**
 * What `recue gocacheprog` keeps for others: `/go/{action ID in hex}` is the output of an action of the go command. A protocol of
 * our own, since Go speaks none over a network. A miss there costs a compilation and never a build.
 */
export const go: Protocol = {
  name: 'go',
  prefix: '/go',
  async answer(request, served) {
    const { method, path: key, scope, signal } = request
    if (!ACTION.test(key)) return refusal(400, 'An action is named by its ID in lower-case hexadecimal digits.')
    if (method === 'PUT') return keep(request, served)
    if (method !== 'GET' && method !== 'HEAD') return METHOD_NOT_ALLOWED
    const found = await findArtifact(served, scope, { tool: 'go', key }, signal)
    const body = found && (await bytesOf(served, scope, found.digest, signal))
    if (found === undefined || body === undefined) return NOT_FOUND
    const { time = '' } = found.headers
    const headers = { 'content-type': 'application/octet-stream', [GO_OUTPUT_HEADER]: found.digest.hash }
    return { status: 200, headers: { ...headers, [GO_TIME_HEADER]: time }, body }
  },
  onFault: ({ method }) => (method === 'PUT' ? refusal(503, 'It was not kept.') : NOT_FOUND),
  refuse: (_request, lacking) =>
    lacking === 'write' ? refusal(403, 'This token may read and not write.') : refusal(401, 'A token is needed.'),
}

async function keep(request: ProtocolRequest, served: Served): Promise<Reply> {
  const time = request.headers[GO_TIME_HEADER]
  if (typeof time !== 'string' || !TIME.test(time)) return refusal(400, `${GO_TIME_HEADER} is no time.`)
  const kept = await keepArtifact(served, request, { tool: 'go', key: request.path, headers: { time } })
  return kept === 'kept' ? { status: 200 } : refusal(400, 'Other bytes than announced came.')
}

function refusal(status: number, text: string): Reply {
  return { status, headers: TEXT, body: `${text}\n` }
}
