import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { runtimes } from '../runtimes.ts'
import { call, countOf, writeFiles } from './calls.ts'
import { type Client, STEPS } from './client.ts'

const PACKAGES = ['a', 'b', 'c'] as const

/** Packages that need nothing of Go's own library, whose compilation would take longer than all else. */
export const go: Client = {
  name: 'go',
  protocol: 'go',
  missing() {
    const { stdout } = spawnSync('go', ['version'], { encoding: 'utf8', env: { ...process.env, GOTOOLCHAIN: 'local' } })
    const [, minor] = /go1\.(\d+)/.exec(stdout ?? '') ?? []
    return Number(minor ?? 0) >= 24 ? undefined : 'go 1.24 is not installed'
  },
  outputs: PACKAGES.map((name) => `${name}.a`),
  write(root, during) {
    writeFiles(root, {
      'go.mod': 'module example.com/three\n\ngo 1.24\n',
      'a/a.go': 'package a\n\nfunc A() int { return 1 }\n',
      'b/b.go': 'package b\n\nimport "example.com/three/a"\n\nfunc B() int { return a.A() + 1 }\n',
      'c/c.go': 'package c\n\nimport "example.com/three/b"\n\nfunc C() int { return b.B() + 1 }\n',
      'during.sh': `${during}\n`,
    })
  },
  async build(root, remote) {
    const [{ argv } = { argv: [] }] = runtimes
    const env = {
      GOTOOLCHAIN: 'local',
      GOPROXY: 'off',
      GOFLAGS: '-mod=mod',
      CGO_ENABLED: '0',
      GOCACHE: path.join(root, '.go'),
      ...(remote && {
        GOCACHEPROG: [...argv, 'gocacheprog', '--server', remote.http].map((word) => `'${word}'`).join(' '),
        RECUE_TOKEN: remote.token,
        RECUE_CACHE_DIR: path.join(root, '.recue'),
      }),
    }
    const build = (name: string) => `go build -x -trimpath -buildmode=archive -o ${name}.a ./${name}`
    const script = `${build('a')} && { . ./during.sh; ${build('b')}; } && ${build('c')}`
    const { status, stdout, stderr } = await call(root, 'sh', ['-c', script], env)
    const misses = countOf(stderr, /^\S+compile -o .* -p example\.com\/three\//m)
    return { status, said: stdout + stderr, hits: STEPS - misses, misses }
  },
}
