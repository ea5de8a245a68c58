import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isCacheError } from '../../errors.ts'
import { goCache } from '../../programs/go/go-cache.ts'
import { answerGo, GO_GREETING } from '../../programs/go/go-cache-program.ts'
import type { GoServer } from '../../programs/go/go-server.ts'
import { pipeInput } from '../../programs/pipe-input.ts'
import { layoutOf } from '../../store/local/layout.ts'
import { lentFiles } from '../../store/local/lent-files.ts'
import { type CommandContext, defineCommand, type Session } from '../command.ts'
import { writeAll } from '../output.ts'
import { SERVER_OPTIONS, serverAddressOf } from '../server-options.ts'
import { oneLine } from '../table.ts'

type Context = CommandContext<typeof SERVER_OPTIONS>

export const command = defineCommand({
  name: 'gocacheprog',
  summary: "Be the go command's build cache",
  usage: ['gocacheprog [--server URL]'],
  description:
    'Go 1.24 and later start it by themselves where GOCACHEPROG names it: what Go compiles and tests is then kept in the cache, under its ' +
    'quota. What is not here is looked for at the server, and what is made here is sent there. A server that does not ' +
    'answer is left alone, and no build fails because of it.',
  options: SERVER_OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [
    { line: 'go env -w GOCACHEPROG="recue gocacheprog"', does: 'From now on, for all that Go builds.' },
    { line: 'GOCACHEPROG="recue gocacheprog --server http://cache:8377" go test ./...', does: 'With a team.' },
  ],
  async run(context) {
    const connect = await serverOf(context)
    surviveAll(context)
    // Go waits for this, and for nothing else of the start.
    writeAll(1, GO_GREETING)
    const say = sayOnce(context)
    await using session = await openOrWithout(context, say)
    await using place = placeFor(session)
    using server = connect?.(say)
    const kept = session?.cache.readOnly === false ? session.cache : undefined
    const cache = goCache({ store: kept, lent: lentFiles(place.folder), server: server?.go, onFault: say })
    await answerGo(cache, { input: pipeInput(0), write: (text) => writeAll(1, text) })
    await place.sweep()
    return 0
  },
})

type Say = (error: unknown) => void

/** Standard error is the user's terminal: a line for the first of what is wrong, and no more. */
function sayOnce({ output, options }: Context): Say {
  let hasSaid = false
  return (error) => {
    if (hasSaid && !options.verbose) return
    hasSaid = true
    output.stderr.line(oneLine(`recue: ${isCacheError(error) ? error.message : error}`))
  }
}

/**
 * The terminal's signals reach the go command as well, which closes our end when it has ended; were we gone before, it would
 * complain of that. And a fault of ours must not end a build that can go on without us.
 */
function surviveAll(context: Context): void {
  for (const name of ['SIGINT', 'SIGHUP'] as const) process.on(name, () => undefined)
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => context.output.stderr.line(oneLine(`recue: ${error}`)))
}

async function openOrWithout(context: Context, say: Say): Promise<Session | undefined> {
  try {
    return await context.open()
  } catch (error) {
    say(error)
    return undefined
  }
}

interface Place extends AsyncDisposable {
  readonly folder: string
  sweep(): Promise<void>
}

/** In the cache folder; where that cannot be had, somewhere that goes with this process. */
function placeFor(session: Session | undefined): Place {
  if (session === undefined || session.cache.readOnly) {
    const folder = mkdtempSync(join(tmpdir(), 'recue-go-'))
    return {
      folder,
      sweep: async () => undefined,
      [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
    }
  }
  const { dir } = session.cache
  const folder = layoutOf(dir).lent
  return {
    folder,
    async sweep() {
      const { sweepLentSometimes } = await import('../../store/local/collector/lent-sweep.ts')
      const { quotaOf } = await import('../../store/local/collector/quota.ts')
      const { maxCacheSize } = session.settings
      const quota = quotaOf(dir, maxCacheSize === undefined ? {} : { maxCacheBytes: maxCacheSize })
      sweepLentSometimes(folder, quota.maxLentBytes, Date.now())
    },
    async [Symbol.asyncDispose]() {},
  }
}

/** Mistakes in it are the user's, and are said before anything is promised to Go. */
async function serverOf(context: Context): Promise<((say: Say) => Disposable & { readonly go: GoServer }) | undefined> {
  if (!context.options.server) return undefined
  const [address, { placeOf }, { remoteServer }, { goServer }] = await Promise.all([
    serverAddressOf(context),
    import('../../connect/server-address.ts'),
    import('../../programs/remote-server.ts'),
    import('../../programs/go/go-server.ts'),
  ])
  return (say) => {
    const remote = remoteServer(address, {
      pauseMs: Number.POSITIVE_INFINITY,
      onDown: (why) => say(`${placeOf(address)} is left alone: ${why}`),
    })
    return { go: goServer(remote), [Symbol.dispose]: () => remote[Symbol.dispose]() }
  }
}
