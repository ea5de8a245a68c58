import { randomBytes } from 'node:crypto'
import { greet, troubleWith } from '../greet.ts'
import { placeOf, type ServerAddress } from '../server-address.ts'
import { socketTrouble, type Tool } from '../tool.ts'
import { actionsRoundTrip } from './actions-round-trip.ts'
import type { Finding } from './finding.ts'
import { httpRoundTrip, STEP_MS } from './http-round-trip.ts'
import { reapiRoundTrip } from './reapi-round-trip.ts'
import { tryTool } from './trial.ts'

export interface CheckOptions {
  readonly address: ServerAddress
  readonly tool: Tool
  readonly cwd: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly self: readonly string[]
  readonly signal: AbortSignal
}

/** From the ground up, as far as it makes sense: does it answer, may this token, does an entry come back, does the tool hit. */
export async function* checkConnection({ address, tool, ...options }: CheckOptions): AsyncGenerator<Finding> {
  const greeted = await greet(address, STEP_MS)
  const trouble = troubleWith(address, greeted)
  if (trouble !== undefined) return yield { name: 'server', status: 'fail', ...trouble }
  if (greeted.kind !== 'recue') return
  yield { name: 'server', status: 'ok', what: `recue ${greeted.version ?? ''} answers at ${placeOf(address)}` }
  if (greeted.access === 'read') {
    return yield {
      name: 'token',
      status: 'fail',
      what: 'This token may read, and not write: nothing can be put to be got back.',
      hint: 'Where nothing shall be written, as in pull requests, that is as it should be.',
    }
  }
  yield { name: 'token', status: 'ok', what: 'may read and write' }
  const nonce = randomBytes(32).toString('hex')
  const came = await roundTrip(address, tool, nonce)
  yield came
  if (came.status !== 'ok' || tool.trial === undefined) return
  const socket = socketTrouble(tool, address.socketPath)
  if (socket !== undefined) yield { name: tool.name, status: 'fail', ...socket }
  else yield tryTool({ address, tool, trial: tool.trial, nonce, ...options })
}

function roundTrip(address: ServerAddress, { exchange }: Tool, nonce: string): Promise<Finding> {
  if (exchange.kind === 'reapi') return reapiRoundTrip(address, nonce)
  return exchange.kind === 'http' ? httpRoundTrip(address, exchange.entry(nonce)) : actionsRoundTrip(address, nonce)
}
