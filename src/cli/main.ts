import { repeatedRun } from './repeat/repeat-run.ts'

/** Nothing else is loaded where what is asked for was a hit and still is. */
const exitCode = repeatedRun()
if (exitCode === undefined) void import('./command-line.ts')
else process.exit(exitCode)
