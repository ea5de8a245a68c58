import { defineCommand } from '../command.ts'
import { credentialsFile, readCredentials, saveCredentials } from '../remote/credentials-file.ts'

export const command = defineCommand({
  name: 'logout',
  summary: 'Forget the token for a remote cache, and what allows projects to name it',
  usage: ['logout ADDRESS', 'logout'],
  description: 'Without an address: lists the servers that are logged in to.',
  options: {},
  arguments: { min: 0, max: 1 },
  examples: [{ line: 'recue logout grpcs://cache.example.org', does: 'Of this scheme, host and port.' }],
  exits: [{ code: 1, means: 'There was nothing to forget.' }],
  async run({ args, output, options, environment }) {
    const file = credentialsFile(environment)
    const known = readCredentials(file)
    const [address] = args
    if (address === undefined) {
      if (options.json) output.json([...known.keys()])
      else for (const origin of known.keys()) output.stdout.line(origin)
      return 0
    }
    const { originOf } = await import('../../store/remote/remote-origin.ts')
    const origin = originOf(address)
    const isKnown = known.has(origin)
    if (isKnown) saveCredentials(file, origin, undefined)
    if (options.json) output.json({ origin, forgotten: isKnown })
    else output.stdout.line(isKnown ? `${origin}: forgotten.` : `${origin}: nothing was kept for it.`)
    return isKnown ? 0 : 1
  },
})
