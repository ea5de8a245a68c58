import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { descriptorsModule, descriptorsPath } from '../../scripts/generate-descriptors.ts'
import { commandsPage } from '../../scripts/generate-docs.ts'
import { schemaFiles } from '../../scripts/generate-schemas.ts'
import { toolsPage } from '../../scripts/generate-tools.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

test('docs/commands.md is what the commands say (node scripts/generate-docs.ts)', async () => {
  expect(read('docs/commands.md')).toBe(await commandsPage())
})

test('docs/tools.md is what the tools say (node scripts/generate-tools.ts)', () => {
  expect(read('docs/tools.md')).toBe(toolsPage())
})

test.each([...schemaFiles()])('%s is what the code says (node scripts/generate-schemas.ts)', (path, content) => {
  expect(read(path)).toBe(content)
})

test(`${descriptorsPath} is what the .proto files say (node scripts/generate-descriptors.ts)`, () => {
  expect(read(descriptorsPath)).toBe(descriptorsModule())
})
