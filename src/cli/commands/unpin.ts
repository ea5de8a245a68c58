import { defineCommand } from '../command.ts'
import { INSTANCE_OPTION, SHOWN_DIGITS } from '../key-lookup.ts'
import { namedKey } from '../named-key.ts'

export const command = defineCommand({
  name: 'unpin',
  summary: 'Let a pinned result go like others',
  usage: ['unpin TASK|KEY|last'],
  description: 'The opposite of recue pin. With --json: { key, wasPinned }.',
  options: INSTANCE_OPTION,
  arguments: { min: 1, max: 1 },
  examples: [{ line: 'recue unpin build', does: 'The last result of the task build is as others again.' }],
  async run(context) {
    await using session = await context.open()
    const { key, instance } = await namedKey(context.args[0] as string, session, context.options.instance)
    const wasPinned = await session.cache.catalog.unpin({ instance }, key)
    if (context.options.json) context.output.json({ key: key.hash, wasPinned })
    else {
      const what = key.hash.slice(0, SHOWN_DIGITS)
      context.output.stdout.line(wasPinned ? `${what} is no longer pinned.` : `${what} was not pinned.`)
    }
    return 0
  },
})
