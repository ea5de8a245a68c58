import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { compileAll, compiler, OBJECTS, writeSources } from './c-sources.ts'
import { call, missingProgram, numberIn } from './calls.ts'
import type { Client, Remote } from './client.ts'

/** `variables` say where its storage is, in one of the protocols that it speaks. */
export function sccacheBy(
  { feature, ...name }: Pick<Client, 'name' | 'protocol'> & { readonly feature: string },
  variables: (remote: Remote) => Readonly<Record<string, string>>,
): Client {
  return {
    ...name,
    missing: () => missingProgram('sccache', 'gcc') ?? tooOld() ?? builtWithout(feature),
    outputs: OBJECTS,
    write: writeSources,
    async build(root, remote) {
      // Its own server, which lives for this build.
      const env = { ...ownServer(root), ...(remote && variables(remote)) }
      const { status, stdout, stderr } = await call(root, 'sh', ['-c', compileAll(`sccache ${compiler()}`)], env)
      const { stdout: stats } = await call(root, 'sccache', ['--show-stats'], env)
      const said = stdout + stderr + stats
      return { status, said, hits: countIn(stats, 'hits'), misses: countIn(stats, 'misses') }
    },
    leave: (root) => call(root, 'sccache', ['--stop-server'], ownServer(root)),
  }
}

export const sccacheWebdav = sccacheBy(
  { name: 'sccache, webdav', protocol: 'WebDAV', feature: 'WebDAV' },
  ({ http, token }) => ({
    SCCACHE_WEBDAV_ENDPOINT: `${http}/sccache`,
    SCCACHE_WEBDAV_TOKEN: token,
  }),
)

export const sccacheActions = sccacheBy(
  { name: 'sccache', protocol: 'GitHub Actions', feature: 'GHA' },
  ({ http, token }) => ({
    SCCACHE_GHA_ENABLED: 'on',
    ACTIONS_CACHE_SERVICE_V2: 'true',
    ACTIONS_RESULTS_URL: `${http}/`,
    ACTIONS_RUNTIME_TOKEN: token,
  }),
)

export const sccacheS3 = sccacheBy({ name: 'sccache, s3', protocol: 'S3', feature: 'S3' }, ({ http, token }) => ({
  ...{ SCCACHE_BUCKET: 's3', SCCACHE_REGION: 'any', SCCACHE_ENDPOINT: http, SCCACHE_S3_USE_SSL: 'false' },
  ...{ AWS_ACCESS_KEY_ID: token, AWS_SECRET_ACCESS_KEY: 'any' },
}))

function ownServer(root: string): Record<string, string> {
  return { SCCACHE_SERVER_UDS: path.join(root, 'sccache.sock'), SCCACHE_DIR: path.join(root, '.sccache') }
}

function countIn(stats: string, what: 'hits' | 'misses'): number {
  return numberIn(stats, new RegExp(`^Cache ${what} +(\\d+)$`, 'm'))
}

/** Debian's 0.4.0~pre6 has no storage but the disk, and says nothing of it. */
function tooOld(): string | undefined {
  const said = spawnSync('sccache', ['--version'], { encoding: 'utf8' }).stdout.trim()
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(said) ?? []
  return Number(major) > 0 || Number(minor) >= 10 ? undefined : `${said} is older than 0.10`
}

function builtWithout(feature: string): string | undefined {
  const said = spawnSync('sccache', ['--help'], { encoding: 'utf8' }).stdout
  return said.includes(`${feature}:`) && !new RegExp(`${feature}: +true`).test(said)
    ? `sccache was built without ${feature}`
    : undefined
}
