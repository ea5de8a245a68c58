import * as z from 'zod'
import { isCacheError } from '../../errors.ts'
import { parseDuration } from '../../units/duration.ts'
import { parseSize } from '../../units/size.ts'
import { CACHE_MODE } from '../cache-mode.ts'
import { REMOTE_OPTIONS } from '../remote-options.ts'

/**
 * The one schema of the config: it checks, and `schema/recue.schema.json` is made from it. Loaded only when a config
 * has changed since it was last checked.
 */

const names = (what: string) => z.array(z.string().min(1)).describe(what)
const texts = (what: string) => z.record(z.string().min(1), z.string()).describe(what)
const flag = (what: string) => z.boolean().describe(what)
const size = (what: string) => z.union([z.string().superRefine(readBy(parseSize)), z.int().min(0)]).describe(what)
const duration = (what: string) =>
  z.union([z.string().superRefine(readBy(parseDuration)), z.int().min(0)]).describe(`${what} A number is milliseconds.`)

const address = z.string().regex(REMOTE_OPTIONS.remote.shape, 'must be an address such as grpcs://HOST')

/** Settings of the key and of the run: for all tasks and command lines, or for one task. */
const RUN_SETTINGS = {
  env: names('Variables that matter: passed to the command and in its key. Patterns too: VITE_*.'),
  passThroughEnv: names('Variables passed to the command, not in its key.'),
  implicitInputs: flag('Add package.json, lockfiles and installed state to the inputs. Default: true.'),
  gitignore: flag('Leave out what .gitignore names. Default: true.'),
  allowEmpty: flag('An input that matches nothing is fine. Default: false.'),
  allowLinks: names('Links that may be absolute or leave the root.'),
  normalize: z
    .array(z.enum(['locale', 'timezone']))
    .describe('Give the command C.UTF-8 (locale), UTC (timezone), so that machines share.'),
  platform: texts('Further properties of the platform.'),
  tools: texts("Program name → command whose output stands for it: { node: 'node --version' }."),
  salt: z.string().describe('Another salt is another key.'),
  cache: z
    .string()
    .regex(CACHE_MODE, 'must be like local:rw,remote:r or off')
    .describe('Read and write the cache, or less: local:rw,remote:r, one of the two, or off.'),
  cacheFailures: flag('Keep the result of a command that fails, too. Default: false.'),
  clean: flag('Remove old outputs before the command runs. Default: true.'),
  timeout: duration('Stop the command after this time.'),
  wait: duration('How long to wait for the same work elsewhere.'),
  scratch: names('Files that a command may leave outside its outputs: globs relative to the root.'),
  outputLogs: z
    .enum(['full', 'new-only', 'errors-only', 'hash-only', 'none'])
    .describe("Which of the command's output to show."),
}

/** Settings of the whole command. */
const GLOBAL_SETTINGS = {
  cacheDir: z.string().min(1).describe('The cache folder, relative to the root.'),
  maxCacheSize: size('Quota for all under the cache folder: 20GiB.'),
  maxCasSize: size('Quota for blobs alone.'),
  maxEntries: z.int().min(1).describe('Quota for results, counted.'),
  minFreeSpace: size('What has to stay free on the file system: 5GiB.'),
  evictionPolicy: z.enum(['gdsf', 'lfu-da', 'lru']).describe('Which results leave first when there is no room.'),
  casInlineThreshold: size('Blobs up to this size are kept in the index.'),
  ttl: duration('Forget results this long after they were kept.'),
  compression: z.union([z.enum(['auto', 'off']), z.int().min(1).max(19)]).describe('auto, off, or a level of zstd.'),
  chunking: z
    .enum(['off', 'fastcdc'])
    .describe('fastcdc: keep files of more than 1 MiB in chunks, which their versions share. Default: off.'),
  hardLink: flag("Restore files of more than 1 MiB as read-only links to the store's own. Default: false."),
  durability: z.enum(['fast', 'full']).describe('full: results survive a power cut; fast: a crash.'),
  remote: z
    .union([address, z.array(address).min(1)])
    .describe(
      'A remote cache, or several that share all keys. One that a checkout names is used once you have said so: recue login ADDRESS.',
    ),
  remoteReplicas: z.int().min(1).describe('On how many of several remote caches each key is. Default: 2.'),
  uploadWait: duration('How long uploads may hold up the end of a command. Default: 1s.'),
  remoteTimeout: duration('How long the first answer of the remote cache may take. Default: 150ms.'),
  remoteDownload: z
    .enum(['all', 'toplevel', 'none'])
    .describe(
      'Which outputs of results that only the remote cache has are fetched: all, those of tasks asked for by name, or none. Default: all.',
    ),
  quiet: flag('Say nothing but errors.'),
  verbose: flag('Say more.'),
  concurrency: z
    .union([z.string().regex(/^[1-9]\d*%?$/, 'must be a number or a percentage of the cores'), z.int().min(1)])
    .describe('How many tasks at once: a number, or 50% of the cores.'),
  continue: flag('After a task failed, go on with those that do not need it.'),
  outputStyle: z.enum(['prefixed', 'grouped']).describe('Output of several tasks: line by line, or each task whole.'),
}

const TASK = z.strictObject({
  description: z.string().describe('For people.').optional(),
  command: z
    .union([z.string().min(1), z.array(z.string()).min(1)])
    .describe(
      'A string goes through the shell; a list is a program and its arguments. None: the task only stands for what it depends on.',
    )
    .optional(),
  inputs: names(
    'Files, folders and globs that the command reads, relative to its folder; !GLOB leaves out.',
  ).optional(),
  outputs: names('Files, folders and globs that the command writes, relative to its folder.').optional(),
  dependsOn: names('Tasks that must be done before.').optional(),
  cwd: z.string().describe('Where the command runs, relative to the root.').optional(),
  ...z.object(RUN_SETTINGS).partial().shape,
})

const SETTINGS = z.object({ ...GLOBAL_SETTINGS, ...RUN_SETTINGS }).partial().shape

/** `recue.config.*`, and the `recue` key of package.json. */
export const PROJECT_SCHEMA = z
  .strictObject({
    $schema: z.string().optional(),
    tasks: z
      .record(z.string().regex(/^[^\s-][^\s]*$/, 'a name has no spaces and begins with no dash'), TASK)
      .optional(),
    ...SETTINGS,
  })
  .meta({ title: 'recue', description: 'The config of recue, a build cache.' })

/** Settings that no checkout may make: what is shown to a remote cache, and whom to believe that it is one. */
const OWN_SETTINGS = {
  remoteTokenFile: z.string().min(1).describe('File with the token for the remote cache, relative to this one.'),
  remoteHelper: z.string().min(1).describe("Program that is asked for headers, by Bazel's credential-helper protocol."),
  remoteCa: z.string().min(1).describe('File with those to trust, in PEM.'),
  remoteCert: z.string().min(1).describe('File with the certificate to show, in PEM.'),
  remoteKey: z.string().min(1).describe('File with its key in PEM.'),
}

/** The user's own config, for all projects. */
export const USER_SCHEMA = z.strictObject({
  $schema: z.string().optional(),
  ...SETTINGS,
  ...z.object(OWN_SETTINGS).partial().shape,
})

/** The file that `serve --config` names: its own options, and what of the store a server decides. */
export const SERVE_SCHEMA = z.strictObject({
  $schema: z.string().optional(),
  ...z
    .object({
      http: z.string().describe('Where to listen: PORT, HOST:PORT or unix:PATH.'),
      grpc: z.string().describe('Where gRPC is served. Default: where HTTP is.'),
      tokens: z.string().min(1).describe('File of tokens, relative to this one.'),
      tlsCert: z.string().min(1).describe('File with the certificate in PEM.'),
      tlsKey: z.string().min(1).describe('File with its key in PEM.'),
      tlsClientCa: z.string().min(1).describe('File with those who sign the certificates of clients, in PEM.'),
      cas: z.string().min(1).describe('Where blobs are kept, for several servers: s3://BUCKET/PREFIX.'),
      ac: z.string().min(1).describe('Where action results are kept: redis://HOST. Without: where blobs are.'),
      workers: z.int().min(1).describe('How many processes serve.'),
      open: flag('Serve other machines without tokens.'),
      accessLog: flag('Write a line for each request.'),
    })
    .partial().shape,
  ...z
    .object(GLOBAL_SETTINGS)
    .pick({
      ...{ cacheDir: true, maxCacheSize: true, maxCasSize: true, maxEntries: true, minFreeSpace: true },
      ...{ evictionPolicy: true, casInlineThreshold: true, ttl: true, compression: true, chunking: true },
      ...{ hardLink: true, durability: true },
    })
    .partial().shape,
})

/** Which schema a file is held to. */
export const SCHEMAS = { project: PROJECT_SCHEMA, user: USER_SCHEMA, serve: SERVE_SCHEMA }
export type ConfigKind = keyof typeof SCHEMAS

/** What stands in the folder of the checkout and in the user's: what may be written at a path of the config. */
export function keysAt(path: readonly PropertyKey[], kind: ConfigKind): readonly string[] {
  if (path.length === 0) return Object.keys(SCHEMAS[kind].shape)
  return path.length === 2 && path[0] === 'tasks' ? Object.keys(TASK.shape) : []
}

/** Whether only the user's own config may say so. */
export function isForUsersAlone(key: string): boolean {
  return Object.hasOwn(OWN_SETTINGS, key)
}

/** JSON Schema (2020-12) for editors. */
export function jsonSchema(): unknown {
  return z.toJSONSchema(PROJECT_SCHEMA, { io: 'input' })
}

function readBy(parse: (text: string) => number) {
  return (text: string, context: z.RefinementCtx) => {
    try {
      parse(text)
    } catch (error) {
      if (!isCacheError(error)) throw error
      context.addIssue({ code: 'custom', message: `${error.message} ${error.hint ?? ''}`.trim() })
    }
  }
}
