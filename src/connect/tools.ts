import { CacheError } from '../errors.ts'
import type { Tool } from './tool.ts'
import { bazel, bazelHttp } from './tools/bazel.ts'
import { buck2 } from './tools/buck2.ts'
import { ccache } from './tools/ccache.ts'
import { githubActions } from './tools/github-actions.ts'
import { go } from './tools/go.ts'
import { gradle } from './tools/gradle.ts'
import { maven } from './tools/maven.ts'
import { mise } from './tools/mise.ts'
import { moon } from './tools/moon.ts'
import { nx } from './tools/nx.ts'
import { pants } from './tools/pants.ts'
import { rush } from './tools/rush.ts'
import { sccache } from './tools/sccache.ts'
import { turborepo } from './tools/turborepo.ts'

/** In the order in which they are listed. */
export const TOOLS: readonly Tool[] = [
  ...[turborepo, nx, bazel, bazelHttp, buck2, pants, moon, gradle],
  ...[maven, ccache, sccache, go, githubActions, rush, mise],
]

/** Names that people may know a tool by. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  turbo: 'turborepo',
  mvn: 'maven',
  cargo: 'sccache',
  gha: 'github-actions',
}

/** Throws `usage` for a name of none. */
export function toolNamed(name: string): Tool {
  const known = Object.hasOwn(OTHER_NAMES, name) ? OTHER_NAMES[name] : name
  const tool = TOOLS.find((one) => one.name === known)
  if (tool !== undefined) return tool
  throw new CacheError('usage', `There is no tool ${name} that recue serve speaks with.`, {
    hint: `One of ${TOOLS.map((one) => one.name).join(', ')}.`,
  })
}
