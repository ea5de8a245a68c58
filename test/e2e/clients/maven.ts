import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { call, countOf, missingProgram, putInPlace, writeFiles } from './calls.ts'
import type { Client, Remote } from './client.ts'

const VERSION = '3.9.11'
const EXTENSION = '1.2.3'
const MODULES = ['a', 'b', 'c'] as const

export const maven: Client = {
  name: 'mvn',
  protocol: 'Maven',
  missing: () => missingProgram('mvn', 'javac', 'tar'),
  only: ['cold build fills', 'clean build hits', 'server killed during', 'token that reads'],
  outputs: MODULES.map((name) => `${name}/target/${name}-1.jar`),
  write(root, during) {
    writeFiles(root, {
      'pom.xml': pom(
        'root',
        `<packaging>pom</packaging>${PROPERTIES}<modules>${MODULES.map((name) => `<module>${name}</module>`).join('')}</modules>`,
      ),
      '.mvn/extensions.xml': `<extensions><extension><groupId>org.apache.maven.extensions</groupId><artifactId>maven-build-cache-extension</artifactId><version>${EXTENSION}</version></extension></extensions>\n`,
      'a/pom.xml': pom('a', PARENT),
      'b/pom.xml': pom('b', PARENT + dependency('a') + SHELL),
      'b/during.sh': `${during}\n`,
      'c/pom.xml': pom('c', PARENT + dependency('b')),
      'a/src/main/java/t/A.java': 'package t; public class A { public static int of() { return 1; } }\n',
      'b/src/main/java/t/B.java': 'package t; public class B { public static int of() { return A.of() + 1; } }\n',
      'c/src/main/java/t/C.java': 'package t; public class C { public static int of() { return B.of() + 1; } }\n',
    })
  },
  async build(root, remote) {
    const { home, repository } = installed()
    const words = [
      '-B',
      '-s',
      'settings.xml',
      `-Dmaven.repo.local=${repository}`,
      ...cacheFlags(root, remote),
      'package',
    ]
    writeFiles(root, { 'settings.xml': settings(remote?.token) })
    const { status, stdout, stderr } = await call(root, path.join(home, 'bin/mvn'), words, {
      MAVEN_OPTS: '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC',
    })
    const said = stdout + stderr
    const hits = countOf(said, /Found cached build, restoring t:[abc] from cache/)
    return { status, said, hits, misses: countOf(said, /Building jar: /) }
  },
}

function cacheFlags(root: string, remote: Remote | undefined): string[] {
  if (remote === undefined) return ['-Dmaven.build.cache.enabled=false']
  const flags = {
    location: path.join(root, '.build-cache'),
    'remote.enabled': 'true',
    'remote.save.enabled': 'true',
    'remote.url': `${remote.http}/maven`,
    'remote.server.id': 'recue',
  }
  return Object.entries(flags).map(([name, value]) => `-Dmaven.build.cache.${name}=${value}`)
}

function settings(token: string | undefined): string {
  const server = `<server><id>recue</id><username>anybody</username><password>${token}</password></server>`
  return `<settings><servers>${token === undefined ? '' : server}</servers></settings>\n`
}

const PARENT = '<parent><groupId>t</groupId><artifactId>root</artifactId><version>1</version></parent>'
/** With a time of its own a jar is the same whenever it is made. */
const PROPERTIES =
  '<properties><maven.compiler.release>11</maven.compiler.release><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding><project.build.outputTimestamp>2020-01-01T00:00:00Z</project.build.outputTimestamp></properties>'

function pom(name: string, content: string): string {
  const own = content.startsWith('<parent>') ? '' : '<groupId>t</groupId><version>1</version>'
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>${own}<artifactId>${name}</artifactId>${content}</project>\n`
}

function dependency(name: string): string {
  return `<dependencies><dependency><groupId>t</groupId><artifactId>${name}</artifactId><version>1</version></dependency></dependencies>`
}

const SHELL =
  '<build><plugins><plugin><artifactId>maven-antrun-plugin</artifactId><version>3.1.0</version><executions><execution><phase>generate-resources</phase><goals><goal>run</goal></goals><configuration><target><exec executable="sh" failonerror="true"><arg value="during.sh"/></exec></target></configuration></execution></executions></plugin></plugins></build>'

/** Its cache needs Maven 3.9, which the Maven of this machine brings; what both download is kept for the next run. */
function installed(): { readonly home: string; readonly repository: string } {
  const folder = path.join(os.tmpdir(), `recue-e2e-maven-${VERSION}-${EXTENSION}`)
  const repository = path.join(folder, 'repository')
  const home = path.join(folder, `apache-maven-${VERSION}`)
  if (existsSync(home)) return { home, repository }
  const making = path.join(folder, `making-${process.pid}`)
  mkdirSync(making, { recursive: true })
  const artifact = `-Dartifact=org.apache.maven:apache-maven:${VERSION}:tar.gz:bin`
  const words = [
    '-q',
    '-B',
    `-Dmaven.repo.local=${repository}`,
    'dependency:copy',
    artifact,
    `-DoutputDirectory=${making}`,
  ]
  execFileSync('mvn', words, { cwd: making, stdio: 'ignore' })
  execFileSync('tar', ['-xzf', `apache-maven-${VERSION}-bin.tar.gz`], { cwd: making })
  putInPlace(path.join(making, `apache-maven-${VERSION}`), home)
  return { home, repository }
}
