/** What `import … from 'recue'` gives. */
export type { ActionDescription } from './action/describe-action.ts'
export type { Keyed, KeyedAction } from './action/key/keyed-action.ts'
export type { ActionRequest } from './action/request.ts'
export type { FunctionOutcome, FunctionWork } from './action/run/run-function.ts'
export type { OutputSink, RunNotice, RunOptions, RunOutcome, RunStatus } from './action/run-outcome.ts'
export { type Cache, type CacheOptions, type CacheRunOptions, openCache } from './cache.ts'
export { type Config, defineConfig } from './cli/config/config.ts'
export type { ActionDigest, Digest } from './digest/digest.ts'
export { CacheError, type CacheErrorOptions, type ErrorCode, isCacheError } from './errors.ts'
export type { Memoized, MemoizeOptions } from './memoize.ts'
export type { CacheStats } from './observe/stats.ts'
export type {
  ActionResult,
  OutputDirectory,
  OutputFile,
  OutputSymlink,
} from './proto/build/bazel/remote/execution/v2/remote_execution.ts'
export type { RemoteCacheOptions } from './remote-tiers.ts'
export type {
  ActionLookup,
  ActionStore,
  BlobStore,
  Bytes,
  Catalog,
  CatalogEntry,
  CollectOptions,
  CollectReport,
  Ingest,
  OpenBytes,
  PutOutcome,
  StoreUsage,
} from './store/contracts.ts'
export { openRemote, type RemoteOptions } from './store/remote/open-remote.ts'
export type { RemoteEnd } from './store/remote/remote-end.ts'
export { type ShardedEndsOptions, sharded } from './store/sharded/sharded.ts'
export type { Shard } from './store/sharded/shards.ts'
export { splitEnds } from './store/split/split-ends.ts'
