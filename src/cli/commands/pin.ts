import { defineCommand } from '../command.ts'
import { INSTANCE_OPTION, SHOWN_DIGITS } from '../key-lookup.ts'
import { namedKey } from '../named-key.ts'
import { dateAndTime } from '../when.ts'

export const command = defineCommand({
  name: 'pin',
  summary: 'Keep a result whatever the quota says',
  usage: ['pin [--for TIME] TASK|KEY|last'],
  description:
    'The result, and all that it needs, is never collected and does not grow too old: until recue unpin, or for TIME. Of a ' +
    'task it is the result of the last run here. With --json: { key, pinnedUntilMs? }.',
  options: {
    for: { kind: 'duration', value: 'TIME', least: 1, summary: 'For so long: 30d. Default: until it is unpinned.' },
    ...INSTANCE_OPTION,
  },
  arguments: { min: 1, max: 1 },
  examples: [{ line: 'recue pin build --for 30d', does: 'The last result of the task build stays for a month.' }],
  async run(context) {
    await using session = await context.open()
    const { for: forMs, json } = context.options
    const { key, instance } = await namedKey(context.args[0] as string, session, context.options.instance)
    const untilMs = forMs === undefined ? undefined : Date.now() + forMs
    await session.cache.catalog.pin({ instance }, key, untilMs)
    if (json) context.output.json({ key: key.hash, ...(untilMs === undefined ? {} : { pinnedUntilMs: untilMs }) })
    else {
      const until = untilMs === undefined ? '' : ` until ${dateAndTime(untilMs)}`
      context.output.stdout.line(`Pinned ${key.hash.slice(0, SHOWN_DIGITS)}${until}.`)
    }
    return 0
  },
})
