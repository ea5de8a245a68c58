/**
 * How to start this very recue again: the executable is itself, while under Node and Bun a script is given to a runtime.
 * In the executable `process.argv[1]` is a path inside it, which no other process can open.
 */
export function selfCommand(): readonly [string, ...string[]] {
  const script = process.argv[1]
  const isExecutable = script === undefined || /^(\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/.test(script)
  return isExecutable ? [process.execPath] : [process.execPath, ...process.execArgv, script]
}
