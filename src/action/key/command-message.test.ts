import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { actionMessage, commandMessage } from './command-message.ts'

const loader = new protobuf.Root()
loader.resolvePath = (_, target) =>
  target.startsWith('/') ? target : fileURLToPath(new URL(`../../proto/${target}`, import.meta.url))
loader.loadSync('build/bazel/remote/execution/v2/remote_execution.proto')
const Command = loader.lookupType('build.bazel.remote.execution.v2.Command')
const Action = loader.lookupType('build.bazel.remote.execution.v2.Action')

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test('a command, byte by byte', async () => {
  const { bytes, digest } = commandMessage({
    argv: ['a', ''],
    workingDirectory: 'w',
    outputPaths: ['z', 'b', 'z'],
    properties: [
      { name: 'q', value: '2' },
      { name: 'q', value: '1' },
      { name: 'p', value: '' },
    ],
  })
  const properties = '0a030a0170' + '0a060a0171120131' + '0a060a0171120132'
  expect(Buffer.from(bytes).toString('hex')).toBe(`0a01610a002a15${properties}3201773a01623a017a`)
  expect(digest).toEqual({ hash: sha256(bytes), sizeBytes: bytes.length })
})

test('an action, byte by byte', async () => {
  const digest = { hash: 'h', sizeBytes: 1 }
  const { bytes } = actionMessage({
    command: digest,
    inputRoot: { hash: 'i', sizeBytes: 0 },
    platform: [],
    salt: 's',
  })
  const salt = Buffer.from('recue key 1\0s').toString('hex')
  expect(Buffer.from(bytes).toString('hex')).toBe(`0a050a0168100112030a01694a0d${salt}5200`)
})

const text = fc.string({ unit: 'grapheme', maxLength: 8 })
const properties = fc.array(fc.record({ name: text, value: text }), { maxLength: 6 })

/** Unset where empty, as canonical protobuf has it. */
function filled(fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''))
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

test('both are what an independent encoder makes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(text),
      text,
      fc.array(text),
      properties,
      async (argv, workingDirectory, outputPaths, given) => {
        const sorted = [...given].sort((a, b) => byBytes(a.name, b.name) || byBytes(a.value, b.value)).map(filled)
        const command = commandMessage({ argv, workingDirectory, outputPaths, properties: given })
        const expected = Command.encode({
          arguments: argv,
          platform: { properties: sorted },
          ...filled({ workingDirectory }),
          outputPaths: [...new Set(outputPaths)].sort(byBytes),
        }).finish()
        expect(Buffer.from(command.bytes)).toEqual(Buffer.from(expected))
        const action = actionMessage({
          command: command.digest,
          inputRoot: command.digest,
          platform: given,
          salt: workingDirectory,
        })
        const expectedAction = Action.encode({
          commandDigest: command.digest,
          inputRootDigest: command.digest,
          salt: Buffer.from(`recue key 1\0${workingDirectory}`),
          platform: { properties: sorted },
        }).finish()
        expect(Buffer.from(action.bytes)).toEqual(Buffer.from(expectedAction))
      },
    ),
  )
})
