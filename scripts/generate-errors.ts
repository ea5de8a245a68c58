/** Writes `docs/errors.md` from the list of codes in `src/errors.ts`, so that there is one list. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')
const source = readFileSync(path.join(root, 'src/errors.ts'), 'utf8')
const union = source.slice(
  source.indexOf('export type ErrorCode'),
  source.indexOf('export interface CacheErrorOptions'),
)
const codes = [...union.matchAll(/\/\*\* ([^\n]+) \*\/\n\s+\| '([a-z.-]+)'/g)]

const rows = codes.map(([, meaning = '', code = '']) => `| \`${code}\` | ${meaning} | ${exitCode(code)} |`)
writeFileSync(path.join(root, 'docs/errors.md'), page(rows))

/** By the exit table of the rules: the user's mistakes end the command, faults of the cache do not. */
function exitCode(code: string): string {
  if (code === 'command.not-found') return '127'
  if (code === 'command.not-executable') return '126'
  return /^(store|remote)\./.test(code) ? "the command's own in `run`, else 125" : '125'
}

function page(lines: readonly string[]): string {
  return `# Errors

Every error of recue is a \`CacheError\`: a \`code\` that does not change, a message, and mostly a hint at what to do next. In
programs, branch on the code; messages may be reworded. Written from \`src/errors.ts\` by \`npm run generate\`.

| code | what happened | exit code |
| --- | --- | --- |
${lines.join('\n')}

A fault of the cache never fails a build: \`recue run\` warns in one line, runs the command and returns its exit code. A miss is
no error either, but an answer.
`
}
