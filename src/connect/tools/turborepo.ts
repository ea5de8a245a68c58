import { secret, type Tool } from '../tool.ts'

/** Any name will do: teams are apart from each other, and nobody has to make one. */
const TEAM = 'recue'

export const turborepo: Tool = {
  name: 'turborepo',
  title: 'Turborepo',
  speaks: 'its remote cache API, HTTP',
  setup(remote) {
    const token = remote.hasToken ? secret(remote, 'TURBO_TOKEN') : [{ name: 'TURBO_TOKEN', value: 'none' }]
    return {
      environment: [
        { name: 'TURBO_API', value: remote.http, isInFile: true },
        { name: 'TURBO_TEAM', value: TEAM, isInFile: true },
        ...token,
      ],
      files: [
        {
          path: '.turbo/config.json',
          text: `${JSON.stringify({ apiurl: remote.http, teamslug: TEAM }, null, 2)}\n`,
          edit: {
            kind: 'json',
            values: [
              { path: ['apiurl'], value: remote.http },
              { path: ['teamslug'], value: TEAM },
            ],
          },
        },
      ],
      notes: [
        'TURBO_TOKEN has to be set even where the server asks for none. Teams, by TURBO_TEAM, do not share results.',
      ],
    }
  },
  exchange: {
    kind: 'http',
    entry: (nonce) => ({
      path: `/v8/artifacts/${nonce.slice(0, 16)}?slug=${TEAM}`,
      headers: { 'content-type': 'application/octet-stream', 'x-artifact-duration': '1' },
      body: nonce,
    }),
  },
  trial: {
    programs: ['turbo'],
    isRepository: true,
    files: (nonce) => ({
      '.gitignore': 'dist\nnode_modules\n.turbo\n',
      'package.json': '{ "name": "root", "packageManager": "npm@11.0.0", "workspaces": ["packages/*"] }\n',
      'package-lock.json': `${JSON.stringify({
        ...{ name: 'root', lockfileVersion: 3 },
        packages: {
          '': { name: 'root', workspaces: ['packages/*'] },
          'packages/a': { name: 'a', version: '1.0.0' },
          'node_modules/a': { resolved: 'packages/a', link: true },
        },
      })}\n`,
      'turbo.json': '{ "tasks": { "build": { "outputs": ["dist/**"] } } }\n',
      'packages/a/package.json': `${JSON.stringify({
        ...{ name: 'a', version: '1.0.0' },
        scripts: { build: `mkdir -p dist && echo ${nonce} > dist/out.txt` },
      })}\n`,
    }),
    environment: () => ({ TURBO_TELEMETRY_DISABLED: '1', TURBO_CACHE: 'remote:rw' }),
    build: [['turbo', 'run', 'build']],
    hit: /FULL TURBO/,
  },
}
