import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { legacyKey, legacyKeyOf } from './legacy-key.ts'
import { configJson, type LegacyTask, type LegacyTaskConfig } from './legacy-task.ts'

/** The vectors were computed from the description of the format by other code. */
const config: LegacyTaskConfig = {
  description: 'demo',
  command: 'cat src/a.txt',
  inputs: ['src/*.txt'],
  outputs: ['out/**'],
  cache: true,
}
const demo: LegacyTask = { name: 'build', workingDir: '/tmp/demo', config }
const inputs = [
  { file: '/tmp/demo/src/a.txt', content: Buffer.from('alpha\n') },
  { file: '/tmp/demo/src/b.txt', content: Buffer.from('beta\n') },
]

function folder(files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'recue-legacy-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(dir, name)), { recursive: true })
    writeFileSync(path.join(dir, name), content)
  }
  return dir
}

describe('the key', () => {
  test('is the old one, for the vector', () => {
    expect(configJson(config)).toBe(
      '{"description":"demo","command":"cat src/a.txt","script":null,"dependencies":null,"workingDir":null,"shell":null,"inputs":["src/*.txt"],"outputs":["out/**"],"security":null,"cache":true,"cacheKey":null,"timeout":null}',
    )
    expect(legacyKeyOf(demo, inputs).key).toBe('30643fbbe5bc9b878097c5d0439c39eb209165631bb52dfeaa2fea0b191b2866')
  })

  test('has the cache key of a task in the place of its configuration, inputs still in it', () => {
    const task = { ...demo, config: { ...config, cacheKey: 'k1' } }
    const expected = 'cb916e2ece0de8d731d72ec5700cc4eefd823d36f80634ed687a635f0f6a1370'
    expect(legacyKeyOf(task, inputs).key).toBe(expected)
    expect(legacyKeyOf({ ...task, config: { ...task.config, command: 'other' } }, inputs).key).toBe(expected)
    expect(legacyKeyOf(task, inputs.slice(1)).key).not.toBe(expected)
  })

  test('reads the files that match, in the order of their components, each once', () => {
    const dir = folder({ 'a/b': '1', 'a.txt': '2', 'a/c/d': '3', other: '4' })
    const { manifest } = legacyKey({ name: 't', workingDir: dir, config: { inputs: ['a*', 'a.t?t', '**/d'] } })
    const read = (JSON.parse(manifest) as { inputs: string[] }).inputs.slice(5)
    expect(read).toEqual([`file:${dir}/a/b`, `file:${dir}/a/c/d`, `file:${dir}/a.txt`])
  })

  test('follows a link to a file, not one to a folder, and leaves nothing hidden out', () => {
    const dir = folder({ 'src/.hidden': 'h', 'src/node_modules/x': 'x', 'far/y': 'y' })
    symlinkSync('.hidden', path.join(dir, 'src/link'))
    symlinkSync('../far', path.join(dir, 'src/folder'))
    const { manifest } = legacyKey({ name: 't', workingDir: dir, config: { inputs: ['src/**'] } })
    const read = (JSON.parse(manifest) as { inputs: string[] }).inputs.slice(5)
    expect(read).toEqual(['.hidden', 'link', 'node_modules/x'].map((name) => `file:${dir}/src/${name}`))
  })

  test('does not know where one input ends and the next begins: the old mistake', () => {
    const split = (a: string, b: string) =>
      legacyKeyOf(
        demo,
        [a, b].map((text, i) => ({ file: `${i}`, content: Buffer.from(text) })),
      ).key
    expect(split('ab', 'c')).toBe(split('a', 'bc'))
  })
})

test('the manifest is that of the description, byte for byte', () => {
  expect(legacyKeyOf(demo, inputs).manifest).toBe(`{
  "label": "task:build",
  "inputs": [
    "content:16",
    "content:1",
    "content:11",
    "content:7",
    "content:217",
    "file:/tmp/demo/src/a.txt",
    "file:/tmp/demo/src/b.txt"
  ],
  "files": {
    "/tmp/demo/src/a.txt": "b6a98d9ce9a2d9149288fa3df42d377c3e42737afdcdaf714e33c0a100b51060",
    "/tmp/demo/src/b.txt": "f2c82decdd7181cf98945929a62598db7e6b477e11f6e0eb0ae97020eff151ad"
  }
}`)
})

test('the manifest counts bytes, not characters', () => {
  const { manifest } = legacyKeyOf({ ...demo, name: 'bü' }, [])
  expect((JSON.parse(manifest) as { inputs: string[] }).inputs[3]).toBe('content:5')
})

test('security is written with every member, null where it is not set', () => {
  const text = configJson({ security: { denyPaths: ['/etc'] } })
  expect(text).toContain(
    '"security":{"restrictDisk":null,"restrictNetwork":null,"readOnlyPaths":null,"readWritePaths":null,"denyPaths":["/etc"],"allowedHosts":null,"inferFromInputsOutputs":null}',
  )
})
