import { TOKEN, type Tool } from '../tool.ts'

export const buck2: Tool = {
  name: 'buck2',
  title: 'Buck2',
  speaks: 'REAPI, gRPC',
  setup(remote) {
    const lines = [
      `engine_address = ${remote.grpc}`,
      `action_cache_address = ${remote.grpc}`,
      `cas_address = ${remote.grpc}`,
      `tls = ${remote.isTls}`,
      ...(remote.instance === '' ? [] : [`instance_name = ${remote.instance}`]),
      ...(remote.hasToken ? ['http_headers = authorization: Bearer $RECUE_TOKEN'] : []),
    ]
    return {
      environment: remote.hasToken ? [{ name: 'RECUE_TOKEN', value: TOKEN }] : [],
      files: [
        {
          path: '.buckconfig',
          text: `[buck2_re_client]\n${lines.join('\n')}\n`,
          edit: {
            kind: 'block',
            owner: 'buck2',
            comment: '#',
            below: '[buck2_re_client]',
            rivals: /^\s*(engine|action_cache|cas)_address\s*=/m,
          },
        },
      ],
      notes: [
        'The execution platform has to say remote_cache_enabled = True and allow_cache_uploads = True (CommandExecutorConfig).',
      ],
    }
  },
  exchange: { kind: 'reapi' },
}
