import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import type { Finding } from '../../connect/check/finding.ts'
import type { FilePlan } from '../../connect/setup-files.ts'
import { isSecret, type Remote, type Setup, TOKEN, type Tool, type Variable } from '../../connect/tool.ts'
import { CacheError } from '../../errors.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { selfCommand } from '../self-command.ts'
import { SERVER_OPTIONS, serverAddressOf } from '../server-options.ts'
import { oneLine, table } from '../table.ts'

const OPTIONS = {
  ...SERVER_OPTIONS,
  write: {
    kind: 'flag',
    summary: "Make or edit the tool's files in this project. The token enters none that git tracks.",
  },
  dryRun: { kind: 'flag', short: 'n', summary: 'With --write: say what would be done.' },
  check: { kind: 'flag', summary: 'Prove by a round trip that results arrive at the server and come back.' },
} as const

type Context = CommandContext<typeof OPTIONS>

/** Nothing was written where a setting of the user's stands, or a check failed. */
const FOUND_EXIT = 1

export const command = defineCommand({
  name: 'connect',
  summary: 'Lead a build tool to a server, and prove that it arrives',
  usage: ['connect', 'connect TOOL --server URL', 'connect TOOL --server URL --write|--check'],
  description:
    'Prints what to set for a tool; alone, lists the tools. With --write it is set, in marked lines of the files of this project: a setting of your ' +
    'own is left as it is, and named. With --check the server is asked as the tool asks it, and where the tool is installed, it builds a small ' +
    'project twice, the second time from the server alone.\nTools that end a build when nothing answers go through a front: recue front --help',
  options: OPTIONS,
  arguments: { min: 0, max: 1 },
  examples: [
    { line: 'recue connect turborepo --server https://cache.example.org', does: 'What to set.' },
    {
      line: 'recue connect nx --server http://127.0.0.1:8378 --write',
      does: 'Through a front on this machine, which has the token.',
    },
    { line: 'recue connect bazel --server http://cache:8377 --check', does: 'Does it arrive, and does it hit?' },
  ],
  exits: [{ code: FOUND_EXIT, means: 'A check failed, or a file has a setting of its own and was left.' }],
  async run(context) {
    const { toolNamed } = await import('../../connect/tools.ts')
    const [name] = context.args
    if (name === undefined) return list(context)
    const tool = toolNamed(name)
    if (context.options.check) return check(context, tool)
    const { remoteOf, socketTrouble } = await import('../../connect/tool.ts')
    const address = await serverAddressOf(context)
    const trouble = socketTrouble(tool, address.socketPath)
    if (trouble !== undefined) throw new CacheError('usage', trouble.what, { hint: trouble.hint })
    const remote = remoteOf(address)
    return context.options.write ? write(context, tool, remote, address.token) : print(context, tool, remote)
  },
})

async function list({ options, output }: Context): Promise<number> {
  const { TOOLS } = await import('../../connect/tools.ts')
  if (options.json) {
    output.json(
      TOOLS.map(({ name, title, speaks, failsAlone }) => ({
        name,
        title,
        speaks,
        needsFront: failsAlone !== undefined,
      })),
    )
    return 0
  }
  const { stdout } = output
  const columns = [{ title: 'tool' }, { title: 'speaks', flexible: true }, { title: 'when nothing answers' }]
  const rows = TOOLS.map(({ name, speaks, failsAlone }) => [
    name,
    speaks,
    failsAlone === undefined ? 'builds' : 'fails: recue front',
  ])
  for (const line of table(columns, rows, stdout.terminal)) stdout.line(line)
  stdout.line()
  stdout.line('What to set for one: recue connect TOOL --server URL')
  return 0
}

function setupFor({ cwd }: Context, tool: Tool, remote: Remote): Setup {
  return tool.setup(remote, { has: (path) => existsSync(resolvePath(cwd, path)), versionOf })
}

const VERSION_MS = 5_000

function versionOf(program: string): string | undefined {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8', timeout: VERSION_MS })
  return stdout || undefined
}

async function print(context: Context, tool: Tool, remote: Remote): Promise<number> {
  const { options, output, environment } = context
  const setup = setupFor(context, tool, remote)
  if (options.json) {
    output.json({ tool: tool.name, ...jsonOf(setup), needsFront: tool.failsAlone !== undefined })
    return 0
  }
  const { line, terminal } = output.stdout
  const heading = (text: string) => line(terminal.paint('bold', text))
  if (setup.environment.length > 0) {
    heading('Environment')
    if (setup.environment.every(isItself)) line('RECUE_TOKEN, which is to be the token')
    if (setup.environment.some(isSecret) && options.tokenFile !== undefined && environment.RECUE_TOKEN === undefined)
      line(`export RECUE_TOKEN="$(cat ${options.tokenFile})"`)
    for (const variable of setup.environment) if (!isItself(variable)) line(exported(variable))
    line()
  }
  for (const { path, text } of setup.files) {
    heading(setup.environment.some(({ isInFile }) => isInFile) ? `Or, for all but the token: ${path}` : path)
    output.stdout.write(`${text.trimEnd()}\n\n`)
  }
  for (const note of notesOf(tool, setup, remote)) line(note)
  return 0
}

/** `RECUE_TOKEN` that is wanted as `RECUE_TOKEN` is there already. */
function isItself({ name, value }: Variable): boolean {
  return name === 'RECUE_TOKEN' && value === TOKEN
}

/** In double quotes, where a shell puts the token in. */
function exported({ name, value }: Variable): string {
  const quoted = isSecret({ name, value })
    ? `"${value.replace(/(["\\`])/g, '\\$1')}"`
    : /^[\w@%+=:,./-]+$/.test(value)
      ? value
      : `'${value}'`
  return `export ${name}=${quoted}`
}

function notesOf(tool: Tool, setup: Setup, remote: Remote): readonly string[] {
  const front =
    tool.failsAlone === undefined ? [] : [`${tool.failsAlone}: recue front --server URL --tool ${tool.name} -- COMMAND`]
  const token = remote.hasToken
    ? []
    : ['No token is given. A server for other machines asks for one: --token-file, or RECUE_TOKEN.']
  return [...setup.notes, ...front, ...token]
}

function jsonOf({ environment, files, notes }: Setup) {
  return {
    environment: environment.map((variable) => ({
      name: variable.name,
      value: variable.value,
      isSecret: isSecret(variable),
    })),
    files: files.map(({ path, text }) => ({ path, text, isSecret: text.includes(TOKEN) })),
    notes,
  }
}

async function write(context: Context, tool: Tool, remote: Remote, token: string | undefined): Promise<number> {
  const { options, output, cwd } = context
  const { planFile, carryOut } = await import('../../connect/setup-files.ts')
  const setup = setupFor(context, tool, remote)
  const plans = setup.files.map((file) => planFile(file, { root: cwd, token }))
  if (!options.dryRun) for (const plan of plans) carryOut(plan, cwd)
  const written = plans.filter(({ kind }) => kind !== 'leave')
  const left = setup.environment.filter(({ isInFile }) => !isInFile || written.length === 0)
  const { GITHUB_ENV } = context.environment
  const isInActions = GITHUB_ENV !== undefined && GITHUB_ENV !== '' && !options.dryRun && left.length > 0
  if (isInActions)
    appendFileSync(
      GITHUB_ENV,
      left.map(({ name, value }) => `${name}=${value.replaceAll(TOKEN, () => token ?? '')}\n`).join(''),
    )
  if (options.json) {
    const files = plans.map((plan) => ({
      path: plan.path,
      did: plan.kind,
      ...(plan.kind === 'leave' && { why: plan.why }),
    }))
    output.json({
      tool: tool.name,
      dryRun: options.dryRun,
      files,
      environment: jsonOf({ ...setup, environment: left }).environment,
    })
  } else {
    for (const plan of plans) sayPlan(context, plan)
    if (plans.length === 0) output.stdout.line(`${tool.title} has no file for it in a project.`)
    const missing = left.filter((variable) => !isItself(variable))
    if (isInActions) output.stdout.line(`\nset for the steps that follow: ${left.map(({ name }) => name).join(', ')}`)
    else if (missing.length > 0) output.stdout.line('\nTo be set in the environment, here and in CI:')
    for (const variable of isInActions ? [] : missing) output.stdout.line(exported(variable))
    if (!isInActions && left.some(isItself)) output.stdout.line('\nRECUE_TOKEN has to be set in the environment.')
    for (const note of notesOf(tool, setup, remote)) output.stdout.line(`\n${note}`.trimEnd())
  }
  return plans.some(({ kind, path }) => kind === 'leave' && !path.startsWith('~/')) ? FOUND_EXIT : 0
}

function sayPlan({ output, options }: Context, plan: FilePlan): void {
  const { line, terminal } = output.stdout
  const would = options.dryRun
  if (plan.kind === 'keep') line(`${plan.path} says it already`)
  else if (plan.kind === 'leave') {
    line(`${terminal.paint('yellow', 'left')} ${oneLine(plan.path)}: it ${plan.why}`)
    line(`     ${plan.hint}`)
  } else {
    const verb = plan.kind === 'make' ? (would ? 'would make' : 'made') : would ? 'would change' : 'changed'
    line(`${terminal.paint('green', verb)} ${oneLine(plan.path)}`)
  }
}

async function check(context: Context, tool: Tool): Promise<number> {
  const { options, output, cwd, environment, signal } = context
  const { checkConnection } = await import('../../connect/check/check.ts')
  const address = await serverAddressOf(context)
  const findings: Finding[] = []
  for await (const finding of checkConnection({ address, tool, self: selfCommand(), cwd, environment, signal })) {
    findings.push(finding)
    if (!options.json) sayFinding(context, finding)
  }
  const status = findings.some((one) => one.status === 'fail') ? 'fail' : 'ok'
  if (options.json) output.json({ tool: tool.name, status, findings })
  return status === 'fail' ? FOUND_EXIT : 0
}

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red', skip: 'dim' } as const

function sayFinding({ output }: Context, { name, status, what, hint }: Finding): void {
  const { line, terminal } = output.stdout
  line(`${terminal.paint(COLOURS[status], status.padEnd(4))}  ${name.padEnd(12)}${oneLine(what)}`)
  if (hint !== undefined) line(`${' '.repeat(18)}${terminal.paint('dim', oneLine(hint))}`)
}
