import { CacheError } from '../../errors.ts'
import { readAll } from '../stdin.ts'

/** A token from standard input: piped, or typed and not shown. Empty where nothing came. Rejects with the signal's reason. */
export async function readToken(prompt: string, signal: AbortSignal): Promise<string> {
  const { stdin, stderr } = process
  if (stdin.isTTY !== true)
    return Buffer.from(await readAll())
      .toString('utf8')
      .trim()
  if (stderr.isTTY !== true)
    throw new CacheError('usage', 'There is no terminal to ask on.', {
      hint: 'Pipe the token: recue login ADDRESS <FILE',
    })
  stderr.write(prompt)
  stdin.setRawMode(true)
  try {
    return await typed(stdin, signal)
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}

async function typed(stdin: NodeJS.ReadStream, signal: AbortSignal): Promise<string> {
  let text = ''
  for await (const chunk of stdin.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    signal.throwIfAborted()
    for (const letter of chunk.toString('utf8')) {
      if (letter === '\r' || letter === '\n' || letter === '\x04') return text.trim()
      // In raw mode the terminal leaves Ctrl-C to us.
      if (letter === '\x03') throw new CacheError('usage', 'Nothing was kept.')
      text = letter === '\x7f' || letter === '\b' ? text.slice(0, -1) : text + letter
    }
  }
  return text.trim()
}
