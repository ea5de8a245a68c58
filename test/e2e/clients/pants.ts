import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { call, countOf, missingProgram, numberIn, putInPlace, writeFiles } from './calls.ts'
import type { Client } from './client.ts'

/** The last that is a Python package, which runs on Python 3.7 to 3.9 alone. */
const VERSION = '2.17.1'
/** Another than the one in the PATH. */
const PYTHON = process.env.RECUE_E2E_PYTHON ?? 'python3.9'
const INSTALLED = path.join(os.tmpdir(), `recue-e2e-pants-${VERSION}`)

export const pants: Client = {
  name: 'pants',
  protocol: 'REAPI',
  missing: () => missingProgram('bash') ?? missingPython() ?? missingPants(),
  only: ['cold build fills', 'clean build hits', 'server killed during', 'wrong token', 'token that reads'],
  outputs: ['dist/codegen/a.txt', 'dist/codegen/b.txt', 'dist/codegen/c.txt'],
  write(root, during) {
    writeFiles(root, { 'pants.toml': CONFIG, BUILD, 'during.sh': `${during}\n` })
  },
  async build(root, remote) {
    const env = remote && {
      PANTS_REMOTE_CACHE_READ: 'true',
      PANTS_REMOTE_CACHE_WRITE: 'true',
      PANTS_REMOTE_STORE_ADDRESS: remote.http.replace('http:', 'grpc:'),
      PANTS_REMOTE_STORE_HEADERS: `{'authorization': 'Bearer ${remote.token}'}`,
    }
    const program = path.join(INSTALLED, 'bin/python')
    const words = ['-m', 'pants.bin.pants_loader', 'export-codegen', '::']
    const { status, stdout, stderr } = await call(root, program, words, { ...env })
    const said = stdout + stderr
    const hits = numberIn(said, /remote_cache_requests_cached: (\d+)/)
    return { status, said, hits, misses: countOf(said, /Completed: Running the `shell_command` at/) }
  },
}

const CONFIG = `[GLOBAL]
pants_version = "${VERSION}"
backend_packages = ["pants.backend.shell"]
pantsd = false
local_cache = false
dynamic_ui = false
[stats]
log = true
`

/** Pants does a step while it asks for its result and takes what is there first; so none is done at once. */
const BUILD = ['a', 'b', 'c']
  .map((name, i, names) => {
    const before = names[i - 1]
    const make = `(${before ? `cat ${before}.txt; ` : ''}echo made ${name}) > ${name}.txt`
    const dependencies = [...(before ? [`:${before}`] : []), ...(name === 'b' ? [':during'] : [])]
    return `shell_command(name="${name}", command="sleep 1; ${name === 'b' ? '. ./during.sh; ' : ''}${make}", tools=["cat", "echo", "sleep"], execution_dependencies=${JSON.stringify(dependencies)}, output_files=["${name}.txt"])\n`
  })
  .join('')
  .concat('files(name="during", sources=["during.sh"])\n')

function missingPython(): string | undefined {
  const version = spawnSync(PYTHON, ['--version'], { encoding: 'utf8' }).stdout ?? ''
  return /^Python 3\.[789]\./.test(version) ? undefined : `${PYTHON} is not installed, for Pants`
}

function missingPants(): string | undefined {
  if (existsSync(INSTALLED)) return undefined
  const making = `${INSTALLED}-${process.pid}`
  try {
    mkdirSync(making)
    execFileSync(PYTHON, ['-m', 'venv', making], { stdio: 'ignore' })
    const words = ['-m', 'pip', 'install', '-q', '--only-binary=:all:', `pantsbuild.pants==${VERSION}`]
    execFileSync(path.join(making, 'bin/python'), words, { stdio: 'ignore' })
    putInPlace(making, INSTALLED)
    return undefined
  } catch {
    return 'Pants could not be installed by pip'
  }
}
