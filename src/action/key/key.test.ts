import { execFileSync } from 'node:child_process'
import { cpSync, renameSync, symlinkSync, utimesSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Action, Command } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { ActionRequest } from '../request.ts'
import { Checkout } from './key.fixture.ts'
import { keyOf } from './key.ts'
import { platformProperties } from './platform.ts'

type Given = Parameters<Checkout['request']>[0]

/** The key without what differs between machines: a program of our own, and the platform taken out of the action. */
async function golden(
  checkout: Checkout,
  given: Given = {},
): Promise<{ command: Command; action: Action; inputs: string }> {
  const { action, command, inputs } = await checkout.keyed({ argv: ['./tool'], ...given })
  return { command: Command.decode(command.bytes), action: Action.decode(action.bytes), inputs: inputs.rootDigest.hash }
}

const TOOL = '#!/nonexistent/interpreter\n'

function withTool(files: Record<string, string> = {}): Checkout {
  const checkout = new Checkout(files)
  checkout.write('tool', TOOL, 0o755)
  return checkout
}

describe('each row of the table of the key', () => {
  test('argv, as given', async () => {
    using checkout = withTool()
    const { command } = await golden(checkout, { argv: ['./tool', '', '-x', 'a b', 'é\n'] })
    expect(command.arguments).toEqual(['./tool', '', '-x', 'a b', 'é\n'])
  })

  test('executable: content, not path', async () => {
    using checkout = withTool()
    const { command } = await golden(checkout)
    expect(command.platform?.properties).toEqual([{ name: 'recue.executable', value: sha256(TOOL) }])
  })

  test('executable: replaced by the output of a command', async () => {
    using checkout = withTool()
    const { command } = await golden(checkout, { tools: { tool: 'echo 1.2.3' } })
    expect(command.platform?.properties).toEqual([{ name: 'recue.tool.tool', value: sha256('1.2.3\n') }])
    const failing = checkout.key({ argv: ['./tool'], tools: { tool: 'exit 3' } })
    await expect(failing).rejects.toMatchObject({ code: 'config.invalid' })
  })

  test('working directory', async () => {
    using checkout = withTool({ 'a/b/x': '' })
    const { command } = await golden(checkout, { workingDirectory: 'a/b', argv: ['../../tool'] })
    expect(command.workingDirectory).toBe('a/b')
  })

  test('inputs: content, executable bit, text of links', async () => {
    using checkout = withTool({ a: 'a', 'd/b': 'b' })
    symlinkSync('d/b', checkout.path('l'))
    const { inputs } = await golden(checkout)
    expect(inputs).toBe('4a22e5de7fb965b11934bae2b5e21cb5ac8f277ae928bd4e8caeefa6af4d8d31')
  })

  test('implicit inputs join the tree', async () => {
    using checkout = withTool({
      'package.json': '{}',
      'p/a': 'a',
      '.gitignore': 'node_modules',
      'node_modules/.package-lock.json': '{}',
    })
    const { inputs } = await golden(checkout, { workingDirectory: 'p', argv: ['../tool'], inputs: { patterns: ['a'] } })
    expect(inputs).toBe('e9e8070cafee85309f4460834b43ae8c379179ce71227b8a8d44b466bab53745')
  })

  test('the task’s definition', async () => {
    using checkout = withTool()
    const { command } = await golden(checkout, { definition: '{"a":1}' })
    expect(command.platform?.properties).toContainEqual({ name: 'recue.definition', value: '{"a":1}' })
  })

  test('environment: names, and values as hashes', async () => {
    using checkout = withTool()
    const source = { LANG: 'C', A_SECRET: 'hunter2', EMPTY: '', HOME: '/h', PATH: process.env.PATH }
    const { command } = await golden(checkout, {
      environment: { source, keyed: ['A_*', 'EMPTY', 'UNSET'], passed: [], normalize: [] },
    })
    expect(command.platform?.properties).toEqual([
      { name: 'recue.env.A_SECRET', value: sha256('hunter2') },
      { name: 'recue.env.EMPTY', value: sha256('') },
      { name: 'recue.env.LANG', value: sha256('C') },
      { name: 'recue.executable', value: sha256(TOOL) },
    ])
    expect(command.environmentVariables).toEqual([])
    expect(JSON.stringify(command)).not.toContain('hunter2')
  })

  test('outputs: paths as REAPI has them, globs as a property', async () => {
    using checkout = withTool({ 'w/x': '' })
    const outputs = ['z', 'b/', '../up', '*.o', 'z']
    const { command } = await golden(checkout, { workingDirectory: 'w', argv: ['../tool'], outputs })
    expect(command.outputPaths).toEqual(['../up', 'b', 'z'])
    expect(command.platform?.properties).toContainEqual({ name: 'recue.output_glob', value: 'w/*.o' })
  })

  test('platform: of the machine and of the config', async () => {
    using checkout = withTool()
    const { action } = await golden(checkout, { platform: { zone: 'b', Container: 'a' } })
    expect(action.platform?.properties.map(({ name }) => name)).toEqual([
      'Container',
      'ISA',
      'OSFamily',
      ...(process.platform === 'linux' ? ['libc'] : []),
      'zone',
    ])
    expect(platformProperties().every(({ value }) => value !== '')).toBe(true)
  })

  test('salt and key version', async () => {
    using checkout = withTool()
    const { action } = await golden(checkout, { salt: 'mine' })
    expect(Buffer.from(action.salt).toString()).toBe('recue key 1\0mine')
  })

  test('standard input, when it is given', async () => {
    using checkout = withTool()
    const { command } = await golden(checkout, { stdin: Buffer.from('x') })
    expect(command.platform?.properties).toContainEqual({ name: 'recue.stdin', value: sha256('x') })
  })

  test('all of it together, on a machine that is written down', async () => {
    using checkout = withTool({ 'src/a': 'a', 'package.json': '{}' })
    const { key, action, command } = await checkout.keyed({
      argv: ['./tool', 'build'],
      outputs: ['dist', '*.tgz'],
      environment: { source: { NODE_ENV: 'production', PATH: '/bin' }, keyed: [], passed: [], normalize: ['timezone'] },
      salt: 's',
    })
    expect(key).toEqual(action.digest)
    expect(command.digest.hash).toBe('3d4fb81acabad13d35119f3f9664b2b1e9ff1873a73275708028c670effc879e')
    if (process.platform === 'linux' && process.arch === 'x64')
      expect(key.hash).toBe('41881dd6e3e17edb005520211d3c0d592f41de27199881258ab46ac200b26a04')
  })
})

type Change = (checkout: Checkout, request: ActionRequest) => ActionRequest

/** A change of the checkout, not of what is asked for. */
function changing(act: (checkout: Checkout) => void): Change {
  return (checkout, request) => {
    act(checkout)
    return request
  }
}

/** Each changes one thing that the key is made of. */
const changes: Record<string, Change> = {
  'an argument': (_, request) => ({ ...request, argv: [...request.argv, 'x'] }),
  'an empty argument': (_, request) => ({ ...request, argv: [...request.argv, ''] }),
  'the program': changing((checkout) => checkout.write('tool', 'other', 0o755)),
  'a file': changing((checkout) => checkout.write('src/a', 'A')),
  'an executable bit': changing((checkout) => checkout.write('src/a', 'a', 0o755)),
  'the name of a file': changing((checkout) => renameSync(checkout.path('src/a'), checkout.path('src/c'))),
  'a new file': changing((checkout) => checkout.write('src/new', '')),
  'a link': changing((checkout) => symlinkSync('a', checkout.path('src/l'))),
  'package.json': changing((checkout) => checkout.write('package.json', '{ }')),
  'the working directory': (_, request) => ({
    ...request,
    workingDirectory: 'src',
    argv: ['../tool', ...request.argv.slice(1)],
  }),
  'an output': (_, request) => ({ ...request, outputs: ['other'] }),
  'an output’s glob': (_, request) => ({ ...request, outputs: ['dist', '*.o'] }),
  'a variable': (_, request) => withVariables(request, { NODE_ENV: 'other' }),
  'an empty variable': (_, request) => withVariables(request, { NODE_ENV: 'test', TZ: '' }),
  'an unset variable': (_, request) => withVariables(request, {}),
  'a platform property': (_, request) => ({ ...request, platform: { a: 'c' } }),
  'the salt': (_, request) => ({ ...request, salt: 'salt' }),
  'the definition': (_, request) => ({ ...request, definition: '{}' }),
  'standard input': (_, request) => ({ ...request, stdin: new Uint8Array(0) }),
  'a tool': (_, request) => ({ ...request, tools: { cc: 'echo 1' } }),
}

function withVariables(request: ActionRequest, source: Record<string, string>): ActionRequest {
  return { ...request, environment: { ...request.environment, source: { PATH: '/bin:/usr/bin', ...source } } }
}

function project(): Checkout {
  return withTool({ 'src/a': 'a', 'src/b': 'b', 'package.json': '{}' })
}

function base(checkout: Checkout): ActionRequest {
  return withVariables(checkout.request({ argv: ['./tool'], outputs: ['dist'], platform: { a: 'b' } }), {
    NODE_ENV: 'test',
  })
}

async function hashOf(checkout: Checkout, request: ActionRequest): Promise<string> {
  const keyed = await keyOf(request, checkout.options())
  if (keyed.kind !== 'keyed') throw new Error(keyed.reason)
  await keyed.action.inputs.remember()
  return keyed.action.key.hash
}

test.each(Object.entries(changes))('%s changed: another key', async (_, change) => {
  using checkout = project()
  const before = await hashOf(checkout, base(checkout))
  expect(await hashOf(checkout, base(checkout))).toBe(before)
  expect(await hashOf(checkout, change(checkout, base(checkout)))).not.toBe(before)
})

test('other changes, other keys', async () => {
  // Less those that undo what another did.
  const undoing = ['an executable bit', 'an empty variable', 'an unset variable', 'an output’s glob']
  const independent = Object.keys(changes).filter((name) => !undoing.includes(name))
  const names = fc.uniqueArray(fc.constantFrom(...independent), { minLength: 1, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(names, names, async (one, other) => {
      const keys = [one, other].map(async (chosen) => {
        using checkout = project()
        let request = base(checkout)
        // Always in the same order, since arguments are appended.
        for (const name of chosen.sort()) request = (changes[name] as Change)(checkout, { ...request })
        return await hashOf(checkout, request)
      })
      const [a, b] = await Promise.all(keys)
      expect(a === b).toBe(one.join() === other.join())
    }),
    { numRuns: 25 },
  )
})

describe('the same key', () => {
  test('on another path, with other times, in another order of files, for another user', async () => {
    using here = project()
    const key = await hashOf(here, base(here))
    using there = new Checkout()
    for (const name of ['package.json', 'tool', 'src/b', 'src/a'])
      cpSync(here.path(name), there.path(name), { mode: 0 })
    utimesSync(there.path('src/a'), 1, 1)
    execFileSync('chmod', ['-R', 'g+w,o-r', there.root])
    if (process.getuid?.() === 0) execFileSync('chown', ['-R', '65534', there.root])
    const request = base(there)
    const source = { ...request.environment.source, HOME: '/elsewhere', USER: 'other', CI: 'true', UNKNOWN: 'x' }
    expect(await hashOf(there, { ...request, environment: { ...request.environment, source } })).toBe(key)
  })

  test('whatever the order of outputs, platform properties and variables', async () => {
    using checkout = project()
    const request = base(checkout)
    const one = { ...request, outputs: ['a', 'b'], platform: { x: '1', y: '2' } }
    const other = { ...request, outputs: ['b', 'a', 'a'], platform: { y: '2', x: '1' } }
    expect(await hashOf(checkout, one)).toBe(await hashOf(checkout, other))
  })

  test('with or without a snapshot', async () => {
    using checkout = project()
    const request = base(checkout)
    const cold = await keyOf(request, { ...checkout.options(), records: undefined })
    expect(await hashOf(checkout, request)).toBe(cold.kind === 'keyed' ? cold.action.key.hash : '')
  })

  test('by default and by patterns that name the same files', async () => {
    using checkout = project()
    const [byDefault, byPattern] = await Promise.all([
      checkout.keyed({ argv: ['./tool'] }),
      checkout.keyed({ argv: ['./tool'], inputs: { patterns: ['**'] } }),
    ])
    expect(byPattern.key).toEqual(byDefault.key)
  })
})

function sha256(text: string): string {
  return execFileSync('sha256sum', { input: text, encoding: 'utf8' }).slice(0, 64)
}
