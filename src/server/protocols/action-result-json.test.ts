import { create, createFileRegistry, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf'
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DESCRIBED_FILES } from '../../proto/descriptors.ts'
import { temporaryServer } from '../temporary-server.fixture.ts'
import { actionResultFromJson, actionResultToJson } from './action-result-json.ts'

/** protobuf's own JSON, from a library that shares nothing with ours. */
const file: FileDescriptorProto[] = DESCRIBED_FILES.map(({ descriptor }) =>
  fromBinary(FileDescriptorProtoSchema, Buffer.from(descriptor, 'base64')),
)
const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }))
const schema = registry.getMessage('build.bazel.remote.execution.v2.ActionResult')
if (schema === undefined) throw new Error('no such message')

const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array).toString('base64'))
const digest = fc.record({ hash: text, sizeBytes: fc.maxSafeNat().map(String) }, { requiredKeys: [] })
const time = fc.oneof(
  fc
    .tuple(fc.date({ min: new Date(0), max: new Date('9999-01-01'), noInvalidDate: true }), fc.nat(999_999_999))
    .map(([date, nanos]) => `${date.toISOString().slice(0, 19)}.${String(nanos).padStart(9, '0')}Z`),
  fc.constantFrom(
    '2026-11-21T18:00:00Z',
    '2026-11-21T18:00:00.5Z',
    '2026-11-21T18:00:00.25+05:30',
    '1969-12-31T23:59:59.75Z',
  ),
)
const some = <T>(model: T) => fc.record(model as Record<string, fc.Arbitrary<unknown>>, { requiredKeys: [] })
const nodeProperties = some({
  properties: fc.array(some({ name: text, value: text }), { maxLength: 2 }),
  mtime: time,
  unixMode: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
})
const links = fc.array(some({ path: text, target: text, nodeProperties }), { maxLength: 2 })
const results = some({
  outputFiles: fc.array(some({ path: text, digest, isExecutable: fc.boolean(), contents: bytes, nodeProperties }), {
    maxLength: 3,
  }),
  outputDirectories: fc.array(
    some({ path: text, treeDigest: digest, isTopologicallySorted: fc.boolean(), rootDirectoryDigest: digest }),
    { maxLength: 2 },
  ),
  exitCode: int32,
  ...{ stdoutRaw: bytes, stdoutDigest: digest, stderrRaw: bytes, stderrDigest: digest },
  executionMetadata: some({
    worker: text,
    ...{ queuedTimestamp: time, workerStartTimestamp: time, workerCompletedTimestamp: time },
    ...{ inputFetchStartTimestamp: time, inputFetchCompletedTimestamp: time, executionStartTimestamp: time },
    ...{ executionCompletedTimestamp: time, outputUploadStartTimestamp: time, outputUploadCompletedTimestamp: time },
  }),
  ...{ outputFileSymlinks: links, outputDirectorySymlinks: links, outputSymlinks: links },
})

test('is read and written as protobuf does it', () => {
  fc.assert(
    fc.property(results, (json) => {
      const theirs = fromJson(schema, json as JsonValue)
      const ours = actionResultFromJson(JSON.stringify(json))
      expect(ours).toEqual(ActionResult.decode(toBinary(schema, theirs)))
      const written = JSON.parse(actionResultToJson(ours as ActionResult)) as JsonValue
      expect(toJson(schema, fromJson(schema, written))).toEqual(toJson(schema, theirs))
    }),
  )
})

test('what is the default is left out, but for a mode that was said', () => {
  const json = {
    exitCode: 0,
    stdoutRaw: '',
    outputFiles: [{ path: '', nodeProperties: { unixMode: 0 } }],
    outputSymlinks: [],
  }
  const written = actionResultToJson(actionResultFromJson(JSON.stringify(json)) as ActionResult)
  expect(JSON.parse(written)).toEqual({ outputFiles: [{ nodeProperties: { unixMode: 0 } }] })
})

test('names may be as in the .proto file, numbers texts and texts numbers; null is nothing, and what is not known is passed over', () => {
  const json = {
    exit_code: '7',
    stdout_digest: { hash: 'ab', size_bytes: 12 },
    stderrDigest: null,
    stdout_raw: null,
    colour: 'blue',
  }
  expect(JSON.parse(actionResultToJson(actionResultFromJson(JSON.stringify(json)) as ActionResult))).toEqual({
    exitCode: 7,
    stdoutDigest: { hash: 'ab', sizeBytes: '12' },
  })
})

test.each<unknown>([
  ...[1, 'a', [], null, true, { outputFiles: {} }, { outputFiles: [1] }, { outputFiles: [null] }],
  ...[
    { exitCode: 1.5 },
    { exitCode: 2 ** 31 },
    { exitCode: 'a' },
    { exitCode: true },
    { exitCode: '' },
    { exitCode: [] },
    { stdoutRaw: 1 },
    { stdoutDigest: 'a' },
  ],
  ...[{ stdoutDigest: { hash: 1 } }, { stdoutDigest: { sizeBytes: 1.5 } }, { stdoutDigest: { sizeBytes: '9e99' } }],
  ...[{ outputFiles: [{ isExecutable: 'true' }] }, { outputFiles: [{ nodeProperties: { unixMode: -1 } }] }],
  ...[{ executionMetadata: { queuedTimestamp: 'today' } }, { executionMetadata: { queuedTimestamp: 5 } }],
])('%j is no action result', (json) => {
  expect(actionResultFromJson(JSON.stringify(json))).toBeUndefined()
})

test('over HTTP, who asks for JSON gets it, and who brings it is understood', async () => {
  await using server = await temporaryServer()
  const url = `${server.url}/red/ac/${'ab'.repeat(32)}`
  const type = { 'content-type': 'application/json' }
  const put = (body: string, headers = type) =>
    fetch(url, { method: 'PUT', body, headers }).then(({ status }) => status)
  expect(await put('{"exitCode":')).toBe(400)
  expect(await put('{"exitCode":3}', { 'content-type': 'text/plain' })).toBe(400)
  expect(await put('{"exitCode":3}')).toBe(200)
  const asked = await fetch(url, { headers: { accept: 'application/json, text/plain' } })
  expect([asked.headers.get('content-type'), await asked.text()]).toEqual(['application/json', '{"exitCode":3}'])
  const usual = await fetch(url)
  expect(usual.headers.get('content-type')).toBe('application/octet-stream')
  expect(ActionResult.decode(Buffer.from(await usual.arrayBuffer())).exitCode).toBe(3)
})
