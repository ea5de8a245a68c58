import type { OptionTable } from './options.ts'

/** The cache of another machine. What is shown to it, and whom to trust, is for the user alone to say: no project's config may. */
export const REMOTE_ACCESS_OPTIONS = {
  remote: {
    kind: 'text',
    value: 'ADDRESS',
    summary:
      'A remote cache: grpcs://HOST, grpc://HOST:PORT, unix:PATH (REAPI), https://HOST/PATH, http://HOST:PORT (HTTP), s3://BUCKET/PREFIX, redis://HOST. Several, with commas between them, share all keys.',
    shape: /^((grpcs?|https?|s3|rediss?|valkeys?):\/\/[^\s/\p{Cc}]\P{Cc}*|((redis|valkey)\+)?unix:\P{Cc}+)?$/iu,
    isMany: true,
    setting: 'remote',
    group: 'Remote cache',
  },
  remoteReplicas: {
    kind: 'number',
    value: 'NUMBER',
    summary: 'On how many of several remote caches each key is.',
    default: '2',
    least: 1,
    setting: 'remoteReplicas',
    group: 'Remote cache',
  },
  remoteTokenFile: {
    kind: 'text',
    value: 'FILE',
    summary: 'Holds the token for it. Default: the variable RECUE_REMOTE_TOKEN, or what recue login was given.',
    setting: 'remoteTokenFile',
    group: 'Remote cache',
  },
  remoteHelper: {
    kind: 'text',
    value: 'PROGRAM',
    summary: "A credential helper, by Bazel's protocol: it is asked for the headers to send.",
    setting: 'remoteHelper',
    group: 'Remote cache',
  },
  remoteCa: {
    kind: 'text',
    value: 'FILE',
    summary: 'PEM: whom to trust, instead of those of the system.',
    setting: 'remoteCa',
    group: 'Remote cache',
  },
  remoteCert: {
    kind: 'text',
    value: 'FILE',
    summary: 'PEM: the certificate to show.',
    setting: 'remoteCert',
    group: 'Remote cache',
  },
  remoteKey: {
    kind: 'text',
    value: 'FILE',
    summary: 'PEM: the key of --remote-cert.',
    setting: 'remoteKey',
    group: 'Remote cache',
  },
} as const satisfies OptionTable

export const REMOTE_OPTIONS = {
  ...REMOTE_ACCESS_OPTIONS,
  uploadWait: {
    kind: 'duration',
    value: 'TIME',
    summary: 'How long uploads may hold up the end of a command; the next one sends the rest.',
    default: '1s',
    setting: 'uploadWait',
    group: 'Remote cache',
  },
  remoteTimeout: {
    kind: 'duration',
    value: 'TIME',
    summary: 'How long the first answer of the remote cache may take until it is taken to be away.',
    default: '150ms',
    setting: 'remoteTimeout',
    group: 'Remote cache',
  },
  remoteDownload: {
    kind: 'choice',
    value: 'WHAT',
    choices: ['all', 'toplevel', 'none'],
    default: 'all',
    summary:
      'Which outputs of what the remote cache has are fetched: all, those of tasks asked for by name, or none; and what a command needs that has to run.',
    setting: 'remoteDownload',
    group: 'Remote cache',
  },
} as const satisfies OptionTable
