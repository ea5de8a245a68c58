import { secret, TOKEN, type Tool } from '../tool.ts'

export const pants: Tool = {
  name: 'pants',
  title: 'Pants',
  speaks: 'REAPI, gRPC',
  setup(remote) {
    const lines = [
      'remote_cache_read = true',
      'remote_cache_write = true',
      `remote_store_address = "${remote.grpc}"`,
      ...(remote.instance === '' ? [] : [`remote_instance_name = "${remote.instance}"`]),
    ]
    return {
      environment: secret(remote, 'PANTS_REMOTE_STORE_HEADERS', `{'authorization': 'Bearer ${TOKEN}'}`),
      files: [
        {
          path: 'pants.toml',
          text: `[GLOBAL]\n${lines.join('\n')}\n`,
          edit: {
            kind: 'block',
            owner: 'pants',
            comment: '#',
            below: '[GLOBAL]',
            rivals: /^\s*remote_(cache_read|cache_write|store_address|instance_name)\s*=/m,
          },
        },
      ],
      notes: [],
    }
  },
  exchange: { kind: 'reapi' },
}
