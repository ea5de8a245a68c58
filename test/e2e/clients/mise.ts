import { existsSync } from 'node:fs'
import path from 'node:path'
import { call, commitAll, countOf, writeFiles } from './calls.ts'
import type { Client } from './client.ts'
import { npmTools } from './npm-tools.ts'

const TASKS = ['a', 'b', 'c'] as const

/** mise uploads from a pipeline on a protected branch alone, which it knows by these. */
const PROTECTED_PIPELINE = {
  GITLAB_CI: 'true',
  CI: 'true',
  CI_PIPELINE_SOURCE: 'push',
  CI_COMMIT_REF_PROTECTED: 'true',
}

export const mise: Client = {
  name: 'mise',
  protocol: 'mise',
  missing: () => (existsSync(program()) ? undefined : 'mise is installed on Linux, x64, alone'),
  outputs: TASKS.map((name) => `out/${name}/out.txt`),
  write(root, during) {
    const tasks = TASKS.map((name, i) => taskOf(name, TASKS[i - 1]))
    writeFiles(root, {
      'mise.toml': ['[settings]\nexperimental = true\n', ...tasks].join('\n'),
      'during.sh': `${during}\n`,
      '.gitignore': 'out\nhome\n',
    })
    commitAll(root)
  },
  async build(root, remote) {
    const home = path.join(root, 'home')
    const env = {
      ...{
        HOME: home,
        MISE_CACHE_DIR: `${home}/cache`,
        MISE_DATA_DIR: `${home}/data`,
        MISE_STATE_DIR: `${home}/state`,
      },
      ...{ MISE_TRUSTED_CONFIG_PATHS: root, MISE_OFFLINE: '1', ...PROTECTED_PIPELINE },
      ...(remote
        ? {
            MISE_TASK_CACHE_REMOTE_URL: remote.http,
            MISE_TASK_CACHE_REMOTE_TOKEN: remote.token,
            MISE_TASK_CACHE_REMOTE_NAMESPACE: 'red',
          }
        : { MISE_TASK_CACHE: 'off' }),
    }
    const { status, stdout, stderr } = await call(root, program(), ['run', 'c'], env)
    const said = stdout + stderr
    return {
      ...{ status, said },
      hits: countOf(said, /restored outputs from cache/),
      misses: countOf(said, /cache miss: /),
    }
  },
}

function program(): string {
  return path.join(npmTools, '@jdxcode/mise-linux-x64/bin/mise')
}

function taskOf(name: string, before: string | undefined): string {
  const first = name === 'b' ? 'sh during.sh && ' : ''
  const more = before ? ` && cat out/${before}/out.txt >> out/${name}/out.txt` : ''
  const source = before ? `out/${before}/**` : 'mise.toml'
  return `[tasks.${name}]
run = "${first}mkdir -p out/${name} && echo made ${name} > out/${name}/out.txt${more}"
${before ? `depends = ["${before}"]\n` : ''}sources = ["${source}"${name === 'b' ? ', "during.sh"' : ''}]
outputs = ["out/${name}"]
cache = { enabled = true }
`
}
