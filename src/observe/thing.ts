export interface NamedRun {
  /** Absolute. */
  readonly root: string
  /** Relative to the root. */
  readonly workingDirectory: string
  readonly task: string | undefined
  readonly argv: readonly string[]
}

/**
 * What makes two runs runs of "the same thing", in `RunRecord.thing`: a task of a project by its name, a command line by
 * itself and the folder it is called in. The changes between two runs of one thing are what `why` explains.
 */
export function thingOf({ root, workingDirectory, task, argv }: NamedRun): string {
  return JSON.stringify(task === undefined ? [root, workingDirectory, ...argv] : [root, { task }])
}

/** What people call a run: the task, or the command line as they would type it. */
export function labelOf(task: string | undefined, argv: readonly string[]): string {
  return task ?? argv.map(shellWord).join(' ')
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
