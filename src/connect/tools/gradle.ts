import { type Remote, TOKEN, type Tool } from '../tool.ts'

export const gradle: Tool = {
  name: 'gradle',
  title: 'Gradle',
  speaks: 'its HTTP build cache',
  setup(remote, project) {
    const isKotlin = project.has('settings.gradle.kts')
    return {
      environment: remote.hasToken ? [{ name: 'RECUE_TOKEN', value: TOKEN }] : [],
      files: [
        {
          path: isKotlin ? 'settings.gradle.kts' : 'settings.gradle',
          text: isKotlin ? kotlin(remote) : groovy(remote),
          edit: { kind: 'block', owner: 'gradle', comment: '//', rivals: /^\s*buildCache\s*\{/m },
        },
        {
          path: 'gradle.properties',
          text: 'org.gradle.caching=true\n',
          edit: { kind: 'block', owner: 'gradle', comment: '#', rivals: /^\s*org\.gradle\.caching\s*=/m },
        },
      ],
      notes: remote.isTls ? [] : ['Before Gradle 6, leave the line allowInsecureProtocol out.'],
    }
  },
  exchange: {
    kind: 'http',
    entry: (nonce) => ({
      path: `/gradle/${nonce.slice(0, 32)}`,
      headers: { 'content-type': 'application/vnd.gradle.build-cache-artifact.v2' },
      body: nonce,
    }),
  },
}

function groovy(remote: Remote): string {
  return block(
    [
      `url = '${remote.http}/gradle/'`,
      ...(remote.isTls ? [] : ['allowInsecureProtocol = true']),
      'push = true',
      ...(remote.hasToken ? ["credentials { username = 'any'; password = System.getenv('RECUE_TOKEN') ?: '' }"] : []),
    ],
    'remote(HttpBuildCache) {',
  )
}

function kotlin(remote: Remote): string {
  return block(
    [
      `url = uri("${remote.http}/gradle/")`,
      ...(remote.isTls ? [] : ['isAllowInsecureProtocol = true']),
      'isPush = true',
      ...(remote.hasToken ? ['credentials { username = "any"; password = System.getenv("RECUE_TOKEN") ?: "" }'] : []),
    ],
    'remote<HttpBuildCache> {',
  )
}

function block(lines: readonly string[], head: string): string {
  return `buildCache {\n  ${head}\n${lines.map((line) => `    ${line}\n`).join('')}  }\n}\n`
}
