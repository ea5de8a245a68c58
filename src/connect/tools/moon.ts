import { TOKEN, type Tool } from '../tool.ts'

export const moon: Tool = {
  name: 'moon',
  title: 'moon',
  speaks: 'REAPI, gRPC',
  setup(remote) {
    const lines = [
      'remote:',
      "  api: 'grpc'",
      `  host: '${remote.grpc}'`,
      ...(remote.hasToken ? ['  auth:', "    token: 'RECUE_TOKEN'"] : []),
      ...(remote.instance === '' ? [] : ['  cache:', `    instanceName: '${remote.instance}'`]),
    ]
    return {
      environment: [
        { name: 'MOON_REMOTE_API', value: 'grpc', isInFile: true },
        { name: 'MOON_REMOTE_HOST', value: remote.grpc, isInFile: true },
        ...(remote.instance === ''
          ? []
          : [{ name: 'MOON_REMOTE_CACHE_INSTANCE_NAME', value: remote.instance, isInFile: true }]),
        ...(remote.hasToken
          ? [
              { name: 'MOON_REMOTE_AUTH_TOKEN', value: 'RECUE_TOKEN', isInFile: true },
              { name: 'RECUE_TOKEN', value: TOKEN },
            ]
          : []),
      ],
      files: [
        {
          path: '.moon/workspace.yml',
          text: `${lines.join('\n')}\n`,
          edit: { kind: 'block', owner: 'moon', comment: '#', rivals: /^remote:/m },
        },
      ],
      notes: [
        ...(remote.hasToken ? ['moon wants the name of the variable that holds the token: RECUE_TOKEN.'] : []),
        ...(/localhost|0\.0\.0\.0/.test(remote.grpc)
          ? ['In CI moon leaves a host named localhost out: write 127.0.0.1.']
          : []),
      ],
    }
  },
  exchange: { kind: 'reapi' },
  trial: {
    programs: ['moon'],
    isRepository: true,
    files: (nonce) => ({
      '.moon/workspace.yml': "projects: ['app']\ntelemetry: false\n",
      'app/moon.yml': `tasks:\n  build:\n    script: 'mkdir -p dist && echo ${nonce} > dist/out.txt'\n    inputs: ['moon.yml']\n    outputs: ['dist']\n`,
      '.gitignore': 'dist\n.moon/cache\n',
    }),
    environment: (folder) => ({
      MOON_TELEMETRY: 'false',
      MOON_VERSION_CHECK: 'false',
      MOON_HOME: `${folder}-moon`,
      PROTO_HOME: `${folder}-proto`,
    }),
    build: [['moon', 'run', 'app:build']],
    hit: /cached from remote/,
  },
}
