import type { OptionTable } from './options.ts'

/** Options of every command. */
export const COMMON_OPTIONS = {
  help: { kind: 'flag', short: 'h', summary: 'Show help for the command.', group: 'Everywhere' },
  cwd: {
    kind: 'text',
    short: 'C',
    value: 'DIR',
    summary: 'Act as if started in DIR.',
    variable: true,
    group: 'Everywhere',
  },
  root: {
    kind: 'text',
    value: 'DIR',
    summary:
      'The folder that everything in a key is relative to. Default: the nearest recue config, git, package.json.',
    variable: true,
    group: 'Everywhere',
  },
  cacheDir: { kind: 'text', value: 'DIR', summary: 'The cache folder.', setting: 'cacheDir', group: 'Everywhere' },
  json: {
    kind: 'flag',
    summary: 'Print JSON for programs instead of text for people.',
    variable: true,
    group: 'Everywhere',
  },
  quiet: { kind: 'flag', short: 'q', summary: 'Say nothing but errors.', setting: 'quiet', group: 'Everywhere' },
  verbose: { kind: 'flag', short: 'v', summary: 'Say more.', setting: 'verbose', group: 'Everywhere' },
} as const satisfies OptionTable

/** How the store is opened: options of every command that uses it. */
export const STORE_OPTIONS = {
  maxCacheSize: {
    kind: 'size',
    value: 'SIZE',
    summary: 'Quota for all under the cache folder. Default: 20 GiB or 10 % of the file system.',
    least: 1,
    setting: 'maxCacheSize',
    group: 'Store',
  },
  maxCasSize: {
    kind: 'size',
    value: 'SIZE',
    summary: 'Quota for blobs alone.',
    least: 1,
    setting: 'maxCasSize',
    group: 'Store',
  },
  maxEntries: {
    kind: 'number',
    value: 'N',
    summary: 'Quota for results, counted.',
    least: 1,
    setting: 'maxEntries',
    group: 'Store',
  },
  minFreeSpace: {
    kind: 'size',
    value: 'SIZE',
    summary: 'What has to stay free on the file system.',
    least: 1,
    setting: 'minFreeSpace',
    group: 'Store',
  },
  evictionPolicy: {
    kind: 'choice',
    value: 'HOW',
    choices: ['gdsf', 'lfu-da', 'lru'],
    summary: 'Which results leave first. Default: gdsf, what saves the least time for its size and uses.',
    setting: 'evictionPolicy',
    group: 'Store',
  },
  casInlineThreshold: {
    kind: 'size',
    value: 'SIZE',
    summary: 'Blobs up to this size are kept in the index.',
    setting: 'casInlineThreshold',
    group: 'Store',
  },
  ttl: {
    kind: 'duration',
    value: 'TIME',
    summary: 'Forget results this long after they were kept.',
    least: 1,
    setting: 'ttl',
    group: 'Store',
  },
  compression: {
    kind: 'text',
    value: 'LEVEL',
    default: 'auto',
    shape: /^(auto|off|[1-9]|1\d)$/,
    summary: 'auto, off, or a level of zstd from 1 to 19.',
    setting: 'compression',
    group: 'Store',
  },
  chunking: {
    kind: 'choice',
    value: 'HOW',
    choices: ['off', 'fastcdc'],
    default: 'off',
    summary: 'fastcdc: keep files of more than 1 MiB in chunks, which their versions share.',
    setting: 'chunking',
    group: 'Store',
  },
  hardLink: {
    kind: 'flag',
    summary: "Restore files of more than 1 MiB as read-only links to the store's own.",
    setting: 'hardLink',
    group: 'Store',
  },
  durability: {
    kind: 'choice',
    value: 'HOW',
    choices: ['fast', 'full'],
    default: 'fast',
    summary: 'full: results survive a power cut (fsync); fast: a crash.',
    setting: 'durability',
    group: 'Store',
  },
} as const satisfies OptionTable
