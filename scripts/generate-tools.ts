/** Writes `docs/tools.md`: what `recue connect` says of each tool. */
import { writeFileSync } from 'node:fs'
import { parseServerAddress } from '../src/connect/server-address.ts'
import { remoteOf, type Tool } from '../src/connect/tool.ts'
import { TOOLS } from '../src/connect/tools.ts'

const REMOTE = remoteOf(parseServerAddress('http://cache:8377', { token: 'TOKEN' }))

export function toolsPage(): string {
  const head = `# What to set in each tool

Made by \`node scripts/generate-tools.ts\` from what \`recue connect TOOL --server http://cache:8377\` says where a token is asked for. [How to connect](connect.md) says more.`
  return `${[head, ...TOOLS.map(section)].join('\n\n')}\n`
}

function section(tool: Tool): string {
  const { environment, files, notes } = tool.setup(REMOTE, { has: () => false, versionOf: () => undefined })
  const parts = [`## ${tool.title}`, `\`recue connect ${tool.name}\`: ${tool.speaks}.`]
  const variables = environment.filter(({ name, value }) => !value.endsWith(`{${name}}`))
  if (variables.length > 0)
    parts.push(fenced('sh', variables.map(({ name, value }) => `${name}="${value}"`).join('\n')))
  for (const { path, text } of files) parts.push(`\`${path}\``, fenced('', text.trimEnd()))
  if (tool.failsAlone !== undefined) parts.push(`${tool.failsAlone}: let it go through \`recue front\`.`)
  if (notes.length > 0) parts.push(notes.join(' '))
  return parts.join('\n\n')
}

function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``
}

if (import.meta.main) writeFileSync(new URL('../docs/tools.md', import.meta.url), toolsPage())
