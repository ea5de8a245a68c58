import { digestOfMessage } from '../../digest/message-digest.ts'
import { CacheError } from '../../errors.ts'
import type { PlatformProperty } from './platform.ts'

/**
 * What the commands given for `tools` print, as platform properties: `{ node: 'node --version' }` says that any node of
 * that version will do. All that are listed are in the key, whether the command starts with them or not. They are run by
 * the system's shell, one after another, so a hit waits for them. Throws `config.invalid` when one fails.
 */
export async function toolProperties(
  tools: Readonly<Record<string, string>>,
  child: {
    readonly cwd: string
    readonly env: Readonly<Record<string, string>>
    readonly signal?: AbortSignal | undefined
  },
): Promise<PlatformProperty[]> {
  const properties: PlatformProperty[] = []
  for (const name of Object.keys(tools).sort()) {
    const command = tools[name] as string
    const { hash } = digestOfMessage(await outputOf(name, command, child))
    properties.push({ name: `recue.tool.${name}`, value: hash })
  }
  return properties
}

async function outputOf(
  name: string,
  command: string,
  child: {
    readonly cwd: string
    readonly env: Readonly<Record<string, string>>
    readonly signal?: AbortSignal | undefined
  },
): Promise<Uint8Array> {
  const { exec } = await import('node:child_process')
  const { cwd, env, signal } = child
  return new Promise((resolve, reject) => {
    exec(command, { cwd, env, encoding: 'buffer', ...(signal && { signal }) }, (cause, stdout) => {
      if (cause === null) resolve(stdout)
      else if (signal?.aborted) reject(signal.reason)
      else
        reject(
          new CacheError('config.invalid', `The command for the tool ${JSON.stringify(name)} failed: ${command}`, {
            hint: 'Its output stands for the tool in the key, so it has to succeed.',
            cause,
          }),
        )
    }).stdin?.end()
  })
}
