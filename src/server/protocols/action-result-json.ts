import {
  ActionResult,
  Digest,
  ExecutedActionMetadata,
  NodeProperties,
  NodeProperty,
  OutputDirectory,
  OutputFile,
  OutputSymlink,
} from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Timestamp } from '../../proto/google/protobuf/timestamp.ts'

/**
 * An action result in protobuf's JSON (https://protobuf.dev/programming-guides/json/), which moon speaks over HTTP. Undefined
 * for what is none. Fields that are not known are passed over, and so is what a worker notes in messages of its own.
 */
export function actionResultFromJson(text: string): ActionResult | undefined {
  try {
    return RESULT.read(JSON.parse(text))
  } catch {
    return undefined
  }
}

export function actionResultToJson(result: ActionResult): string {
  return JSON.stringify(RESULT.write(result))
}

/** `read` throws for what it cannot be; `write` gives undefined for what need not be said. */
interface Form<T> {
  read(json: unknown): T
  write(value: T): unknown
}

const text: Form<string> = {
  read(json) {
    if (typeof json !== 'string') throw new TypeError('no text')
    return json
  },
  write: (value) => (value === '' ? undefined : value),
}

const flag: Form<boolean> = {
  read(json) {
    if (typeof json !== 'boolean') throw new TypeError('neither true nor false')
    return json
  },
  write: (value) => value || undefined,
}

/** As a number or as a text. */
function numberIn(json: unknown): number {
  if (typeof json === 'number' || (typeof json === 'string' && /^-?\d/.test(json))) return Number(json)
  throw new TypeError('no number')
}

const int32: Form<number> = {
  read(json) {
    const value = numberIn(json)
    if (value !== (value | 0)) throw new TypeError('no number of 32 bits')
    return value
  },
  write: (value) => (value === 0 ? undefined : value),
}

/** A UInt32Value: 0 is not the same as nothing. */
const wrapped: Form<number> = {
  read(json) {
    const value = numberIn(json)
    if (value !== value >>> 0) throw new TypeError('no number of 32 bits')
    return value
  },
  write: (value) => value,
}

const int64: Form<number> = {
  read(json) {
    const value = numberIn(json)
    if (!Number.isSafeInteger(value)) throw new TypeError('no whole number')
    return value
  },
  write: (value) => (value === 0 ? undefined : String(value)),
}

const bytes: Form<Buffer> = {
  read: (json) => Buffer.from(text.read(json), 'base64'),
  write: (value) => (value.length === 0 ? undefined : value.toString('base64')),
}

const timestamp: Form<Timestamp> = {
  read(json) {
    const [, whole, fraction = '', zone] = /^([^.]+?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/i.exec(text.read(json)) ?? []
    const ms = Date.parse(`${whole}${zone}`)
    if (Number.isNaN(ms)) throw new TypeError('no time')
    return { seconds: ms / 1000, nanos: Number(fraction.padEnd(9, '0')) }
  },
  write: ({ seconds, nanos }) =>
    new Date(seconds * 1000).toISOString().replace('.000Z', `.${String(nanos).padStart(9, '0')}Z`),
}

function list<T>(form: Form<T>): Form<T[]> {
  return {
    read(json) {
      if (!Array.isArray(json)) throw new TypeError('no list')
      return json.map((one) => form.read(one))
    },
    write: (values) => (values.length === 0 ? undefined : values.map((value) => form.write(value))),
  }
}

type Forms<T> = { readonly [Name in keyof T]?: Form<NonNullable<T[Name]>> }

/** Names may be as in JSON or as in the .proto file. */
function message<T extends object>({ decode }: { decode(nothing: Uint8Array): T }, forms: Forms<T>): Form<T> {
  const fields = Object.entries(forms) as [keyof T & string, Form<unknown>][]
  return {
    read(json) {
      if (typeof json !== 'object' || Array.isArray(json)) throw new TypeError('no message')
      const said = json as Readonly<Record<string, unknown>>
      const value = decode(new Uint8Array(0))
      for (const [name, form] of fields) {
        const own = said[name] ?? said[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)]
        if (own !== undefined && own !== null) value[name] = form.read(own) as T[typeof name]
      }
      return value
    },
    write: (value) =>
      Object.fromEntries(
        fields.flatMap(([name, form]) => (value[name] === undefined ? [] : [[name, form.write(value[name])]])),
      ),
  }
}

const digest = message(Digest, { hash: text, sizeBytes: int64 })
const nodeProperties = message(NodeProperties, {
  properties: list(message(NodeProperty, { name: text, value: text })),
  mtime: timestamp,
  unixMode: wrapped,
})
const symlinks = list(message(OutputSymlink, { path: text, target: text, nodeProperties }))

const RESULT = message(ActionResult, {
  outputFiles: list(message(OutputFile, { path: text, digest, isExecutable: flag, contents: bytes, nodeProperties })),
  outputDirectories: list(
    message(OutputDirectory, {
      path: text,
      treeDigest: digest,
      isTopologicallySorted: flag,
      rootDirectoryDigest: digest,
    }),
  ),
  exitCode: int32,
  stdoutRaw: bytes,
  stdoutDigest: digest,
  stderrRaw: bytes,
  stderrDigest: digest,
  executionMetadata: message(ExecutedActionMetadata, {
    worker: text,
    queuedTimestamp: timestamp,
    workerStartTimestamp: timestamp,
    workerCompletedTimestamp: timestamp,
    inputFetchStartTimestamp: timestamp,
    inputFetchCompletedTimestamp: timestamp,
    executionStartTimestamp: timestamp,
    executionCompletedTimestamp: timestamp,
    outputUploadStartTimestamp: timestamp,
    outputUploadCompletedTimestamp: timestamp,
  }),
  outputFileSymlinks: symlinks,
  outputDirectorySymlinks: symlinks,
  outputSymlinks: symlinks,
})
