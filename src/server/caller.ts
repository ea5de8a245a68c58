import type { IncomingHttpHeaders } from 'node:http'
import { rawMetadata, requestMetadata } from './reapi/request-metadata.ts'

/** Who asks for an action result, as far as it is said. */
export interface Caller {
  /** bazel, turborepo, …: of lower case. */
  readonly tool: string
  /** What kind of work: an action's mnemonic. Empty where the tool does not say. */
  readonly task: string
}

/** For a log: who, for what, and in which of its runs. */
export interface Said extends Caller {
  readonly target: string
  readonly invocation: string
}

const LONGEST = 60
const LONGEST_TARGET = 300
/** Libraries name themselves where a tool does not. */
const LIBRARIES = /^(grpc|okhttp|java|node|undici|curl|python|go-http|tonic|reqwest|mozilla)/

/** Undefined where it says nothing of itself by RequestMetadata. */
export function saidIn(headers: IncomingHttpHeaders): Said | undefined {
  const metadata = requestMetadata(rawMetadata(headers))
  if (metadata === undefined) return undefined
  const { targetId, toolInvocationId } = metadata
  return { ...callerOf(headers), target: name(targetId, LONGEST_TARGET), invocation: name(toolInvocationId) }
}

/** From REAPI's RequestMetadata, and else from the user agent. What came from outside is made fit for a terminal. */
export function callerOf(headers: IncomingHttpHeaders): Caller {
  const metadata = requestMetadata(rawMetadata(headers))
  const tool = name(metadata?.toolDetails?.toolName ?? '') || agentOf(headers['user-agent'])
  return { tool: tool.toLowerCase() || 'unknown', task: name(metadata?.actionMnemonic ?? '') }
}

function agentOf(agent: string | undefined): string {
  const [first = ''] = /^[\w.-]+/.exec(agent ?? '') ?? []
  return LIBRARIES.test(first.toLowerCase()) ? '' : name(first)
}

function name(text: string, longest: number = LONGEST): string {
  return text.slice(0, longest).replaceAll(/[^\w.+:@/ -]/g, '')
}
