import os from 'node:os'
import path from 'node:path'
import { call, countOf, missingProgram, writeFiles } from './calls.ts'
import type { Client, Remote } from './client.ts'

const TASKS = ['a', 'b', 'c'] as const

export const gradle: Client = {
  name: 'gradle',
  protocol: 'Gradle',
  missing: () => missingProgram('gradle'),
  only: ['cold build fills', 'clean build hits', 'server killed during', 'wrong token', 'token that reads'],
  outputs: TASKS.map((name) => `build/${name}.txt`),
  write(root, during) {
    writeFiles(root, {
      'settings.gradle': SETTINGS,
      'build.gradle': BUILD,
      'a.sh': 'echo made a > $1\n',
      'b.sh': `${during}\n(cat $2; echo made b) > $1\n`,
      'c.sh': '(cat $2; echo made c) > $1\n',
    })
  },
  async build(root, remote) {
    const words = ['--console=plain', '--no-build-cache', ...(remote ? cacheFlags(remote) : []), 'c']
    const { status, stdout, stderr } = await call(root, 'gradle', [...DAEMON, ...words])
    const said = stdout + stderr
    const hits = countOf(said, /^:[abc] FROM-CACHE$/m)
    return { status, said, hits, misses: countOf(said, /^:[abc]$/m) }
  },
}

function cacheFlags({ http, token }: Remote): string[] {
  return ['--build-cache', `-Dcache.url=${http}/gradle/`, `-Dcache.token=${token}`]
}

/** Of all checkouts, since each start takes seconds; it ends by itself. */
const DAEMON = [
  ...['--gradle-user-home', path.join(os.tmpdir(), 'recue-e2e-gradle')],
  ...['-Dorg.gradle.daemon.idletimeout=15000', '-Dorg.gradle.jvmargs=-XX:TieredStopAtLevel=1'],
]

const SETTINGS = `buildCache {
  local { enabled = false }
  if (System.getProperty('cache.url')) remote(HttpBuildCache) {
    url = System.getProperty('cache.url')
    push = true
    credentials { username = 'anybody'; password = System.getProperty('cache.token') }
  }
}
`

const BUILD = `@CacheableTask
class Step extends DefaultTask {
  @InputFile @PathSensitive(PathSensitivity.NONE) File script
  @InputFile @Optional @PathSensitive(PathSensitivity.NONE) File before
  @OutputFile File made
  @TaskAction void make() {
    project.exec { commandLine(['sh', script.path, made.path] + (before ? [before.path] : [])) }
  }
}
task a(type: Step) { script = file('a.sh'); made = file("$buildDir/a.txt") }
task b(type: Step, dependsOn: a) { script = file('b.sh'); before = a.made; made = file("$buildDir/b.txt") }
task c(type: Step, dependsOn: b) { script = file('c.sh'); before = b.made; made = file("$buildDir/c.txt") }
`
