import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/**
 * Makes what `tsc` emitted fit for publishing: keeps the declarations that `entry` leads to, writes imports as users'
 * compilers know them (`.js`), and frees the messages from the package that encodes them, which is bundled.
 */
export function trimTypes(folder: string, entry: string): void {
  const kept = new Set<string>()
  const visit = (file: string): void => {
    if (kept.has(file)) return
    kept.add(file)
    const { text, imports } = published(readFileSync(file, 'utf8'))
    writeFileSync(file, text)
    for (const specifier of imports) visit(path.resolve(path.dirname(file), specifier.replace(/\.js$/, '.d.ts')))
  }
  visit(path.join(folder, entry))
  for (const file of globSync('**/*.d.ts', { cwd: folder })) {
    if (!kept.has(path.join(folder, file))) rmSync(path.join(folder, file))
  }
}

function published(declarations: string): { text: string; imports: readonly string[] } {
  const text = declarations
    .replace(/^import \{ BinaryReader, BinaryWriter \} from "@bufbuild\/protobuf\/wire";$/m, wire)
    .replace(/(from\s*|import\s*\(\s*|import\s*)(['"])(\.[^'"]+)\.ts\2/g, '$1$2$3.js$2')
  return {
    text,
    imports: [...text.matchAll(/(?:from\s*|import\s*\(\s*|import\s*)['"](\.[^'"]+\.js)['"]/g)].map(
      (match) => match[1] ?? '',
    ),
  }
}

const wire = `type BinaryReader = unknown;
interface BinaryWriter { finish(): Uint8Array }`
