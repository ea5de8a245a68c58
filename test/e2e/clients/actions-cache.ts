import path from 'node:path'
import { call, countOf, missingProgram, writeFiles } from './calls.ts'
import type { Client } from './client.ts'
import { missingPackage, npmTools } from './npm-tools.ts'

const STEP_NAMES = ['a', 'b', 'c'] as const

/** What a workflow's steps with `actions/cache` do, in a script: restore, else make and save. */
const SCRIPT = `
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
const tools = process.env.TOOLS
const cache = tools && (await import(pathToFileURL(tools + '/@actions/cache/lib/cache.js').href))
let before = ''
for (const name of ['a', 'b', 'c']) {
  const input = readFileSync(name + '.sh', 'utf8') + before
  const key = 'step-' + name + '-' + createHash('sha256').update(input).digest('hex')
  if (cache === undefined || (await cache.restoreCache(['out/' + name], key)) !== key) {
    console.log('made here: ' + name)
    execFileSync('sh', ['-e', name + '.sh'])
    if (cache !== undefined) await cache.saveCache(['out/' + name], key)
  }
  before = readFileSync('out/' + name + '/out.txt', 'utf8')
}
`

/** `@actions/cache`, as actions use it on a runner whose ACTIONS_RESULTS_URL names the server. */
export const actionsCache: Client = {
  name: '@actions/cache',
  protocol: 'GitHub Actions',
  missing: () => missingPackage('@actions/cache') ?? missingProgram('tar'),
  outputs: STEP_NAMES.map((name) => `out/${name}/out.txt`),
  write(root, during) {
    const step = (name: string, i: number) => {
      const before = STEP_NAMES[i - 1]
      const first = name === 'b' ? `${during}\n` : ''
      return `${first}mkdir -p out/${name}\n(echo made ${name}; ${before ? `cat out/${before}/out.txt` : ':'}) > out/${name}/out.txt\n`
    }
    writeFiles(root, {
      'steps.mjs': SCRIPT,
      'tmp/.keep': '',
      ...Object.fromEntries(STEP_NAMES.map((name, i) => [`${name}.sh`, step(name, i)])),
    })
  },
  async build(root, remote) {
    const env = remote && {
      TOOLS: npmTools,
      ACTIONS_RESULTS_URL: `${remote.http}/`,
      ACTIONS_RUNTIME_TOKEN: remote.token,
      ACTIONS_CACHE_SERVICE_V2: 'true',
      GITHUB_WORKSPACE: root,
      RUNNER_TEMP: path.join(root, 'tmp'),
    }
    const { status, stdout, stderr } = await call(root, process.execPath, ['steps.mjs'], env)
    const said = stdout + stderr
    return {
      ...{ status, said },
      hits: countOf(said, /Cache restored successfully/),
      misses: countOf(said, /made here: /),
    }
  },
}
