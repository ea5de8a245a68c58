import { isCacheError } from '../../errors.ts'
import { withProxy } from '../../store/remote/proxy.ts'
import { destinationOf, hasUserInfo } from '../../store/remote/remote-origin.ts'
import { accessTo, type Granted } from '../remote/remote-access.ts'
import { type RemoteChoice, remoteChoices } from '../remote/remote-choice.ts'
import { tryRemote } from '../remote/try-remote.ts'
import { usersBound } from '../run-remote.ts'
import { type Check, type Finding, ok, type Subject, warn } from './check.ts'

/** The remote cache, asked as a run would ask it. None of it makes the cache here less well. */
export const REMOTE_CHECKS: readonly Check[] = [{ name: 'remote', find: remote }]

async function remote(subject: Subject): Promise<Finding> {
  const { layers, cwd } = subject
  let choices: RemoteChoice[]
  try {
    choices = remoteChoices(layers, cwd)
  } catch (error) {
    if (!isCacheError(error)) throw error
    return warn(error.message, error.hint ?? 'It is not used.')
  }
  const findings = await Promise.all(choices.map((choice) => one(choice, subject)))
  const [first, ...others] = findings
  if (first === undefined) return ok('none is named')
  if (others.length === 0) return first
  const bad = findings.filter(({ status }) => status !== 'ok')
  const said = findings.map(({ what }) => what).join('; ')
  return bad.length === 0 ? ok(said) : warn(said, bad.map(({ hint }) => hint).join(' '))
}

async function one(choice: RemoteChoice, { layers, environment, session, signal }: Subject): Promise<Finding> {
  let place: string
  let access: Granted
  try {
    place = destinationOf(choice.address).place
    access = accessTo(choice, environment)
  } catch (error) {
    if (!isCacheError(error)) throw error
    return warn(error.message, error.hint ?? 'It is not used.')
  }
  const tried = await tryRemote(choice.address, withProxy(choice.address, access, environment), signal)
  if (tried.kind === 'no') return warn(tried.why.message, tried.why.hint ?? 'Builds go on without it.')
  const unsafe = sentInClear(choice, access)
  if (unsafe !== undefined) return unsafe
  const due = session?.cache.records.names('upload', '').length ?? 0
  const rest = due === 0 ? '' : `, ${due} ${due === 1 ? 'result is' : 'results are'} still to be sent`
  const by = access.source === undefined ? 'without a token' : `with the token of ${access.source}`
  if (tried.kind === 'reads' && usersBound(layers).write)
    return warn(
      `${place} answers, but takes nothing ${by}: ${tried.why.message}`,
      'Where that is as it should be, say so: "cache": "local:rw,remote:r"',
    )
  if (!usersBound(layers).write)
    return ok(
      `${place} answers ${by}; nothing is sent there, by the user's config or since this checkout chose the cache folder`,
    )
  return ok(`${place} reads and writes ${by}${rest}`)
}

/** A token on a network that others may listen to. */
function sentInClear({ address }: RemoteChoice, { token, freshHeaders }: Granted): Finding | undefined {
  const { url, socketPath } = destinationOf(address)
  const isShown = token !== undefined || freshHeaders !== undefined || hasUserInfo(address)
  const isNear = socketPath !== undefined || /^(localhost|127\..*|\[::1\])$/.test(url.hostname)
  if (url.protocol === 'https:' || isNear || !isShown) return undefined
  return warn(`${url.host} is shown the token in clear: whoever is on the way can read it`, 'Use grpcs:// or https://.')
}
