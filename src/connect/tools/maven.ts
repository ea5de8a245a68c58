import { TOKEN, type Tool } from '../tool.ts'

const VERSION = '1.2.3'

/** The build-cache extension; Maven's own settings hold the credentials, by the id of the server. */
export const maven: Tool = {
  name: 'maven',
  title: 'Maven',
  speaks: 'its build-cache extension, HTTP',
  setup: (remote) => ({
    environment: remote.hasToken ? [{ name: 'RECUE_TOKEN', value: TOKEN }] : [],
    files: [
      {
        path: '.mvn/extensions.xml',
        text: `<extensions>
  <extension>
    <groupId>org.apache.maven.extensions</groupId>
    <artifactId>maven-build-cache-extension</artifactId>
    <version>${VERSION}</version>
  </extension>
</extensions>
`,
        edit: { kind: 'whole' },
      },
      {
        path: '.mvn/maven-build-cache-config.xml',
        text: `<?xml version="1.0" encoding="UTF-8"?>
<cache xmlns="http://maven.apache.org/BUILD-CACHE-CONFIG/1.0.0"
       xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
       xsi:schemaLocation="http://maven.apache.org/BUILD-CACHE-CONFIG/1.0.0 https://maven.apache.org/xsd/build-cache-config-1.0.0.xsd">
  <configuration>
    <enabled>true</enabled>
    <remote enabled="true" saveToRemote="true" id="recue">
      <url>${remote.http}/maven</url>
    </remote>
  </configuration>
</cache>
`,
        edit: { kind: 'whole' },
      },
      ...(remote.hasToken
        ? [
            {
              path: '~/.m2/settings.xml',
              text: `<settings>
  <servers>
    <server>
      <id>recue</id>
      <username>any</username>
      <password>\${env.RECUE_TOKEN}</password>
    </server>
  </servers>
</settings>
`,
              edit: { kind: 'whole' } as const,
            },
          ]
        : []),
    ],
    notes: ['Maven 3.9 or later.'],
  }),
  exchange: {
    kind: 'http',
    entry: (nonce) => ({ path: `/maven/v1.1/recue/check/${nonce.slice(0, 16)}/buildinfo.xml`, body: nonce }),
  },
}
