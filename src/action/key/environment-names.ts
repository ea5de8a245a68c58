/** Passed to every command and not in its key: where things are, who runs it, what it talks to. `*` stands for any end. */
export const PASSED_NAMES: readonly string[] = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'TMPDIR', 'TMP', 'TEMP'],
  ...['TERM', 'COLORTERM', 'NO_COLOR', 'FORCE_COLOR', 'COLUMNS', 'SSH_AUTH_SOCK', 'XDG_*'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'ALL_PROXY', 'NO_PROXY'],
  ...['http_proxy', 'https_proxy', 'ftp_proxy', 'all_proxy', 'no_proxy'],
  // So that recue within a command uses the same cache.
  'RECUE_CACHE_DIR',
]

/** Passed and not in the key: that a CI service runs the command, and what it says of itself. */
export const CI_NAMES: readonly string[] = [
  ...[
    'CI',
    'CI_*',
    'CONTINUOUS_INTEGRATION',
    'BUILD_ID',
    'BUILD_NUMBER',
    'BUILD_TAG',
    'BUILD_URL',
    'JOB_NAME',
    'RUN_ID',
  ],
  ...['GITHUB_*', 'RUNNER_*', 'GITLAB_*', 'BUILDKITE', 'BUILDKITE_*', 'CIRCLECI', 'CIRCLE_*', 'TRAVIS', 'TRAVIS_*'],
  ...['JENKINS_*', 'HUDSON_*', 'TEAMCITY_*', 'TF_BUILD', 'AGENT_*', 'APPVEYOR', 'APPVEYOR_*', 'BITBUCKET_*'],
  ...[
    'DRONE',
    'DRONE_*',
    'WOODPECKER_*',
    'SEMAPHORE',
    'SEMAPHORE_*',
    'CIRRUS_*',
    'CODEBUILD_*',
    'GITEA_*',
    'FORGEJO_*',
  ],
  ...['VERCEL', 'VERCEL_*', 'NETLIFY', 'RENDER', 'HEROKU_*', 'BUDDY_*', 'CODESHIP_*', 'BAMBOO_*', 'bamboo_*'],
]

/** Passed and not in the key: what programs of a platform do not start without. */
export const PLATFORM_NAMES: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  darwin: ['__CF_USER_TEXT_ENCODING'],
  win32: [
    ...['SystemRoot', 'SystemDrive', 'windir', 'ComSpec', 'PATHEXT', 'OS', 'PUBLIC', 'ALLUSERSPROFILE'],
    ...['APPDATA', 'LOCALAPPDATA', 'ProgramData', 'ProgramFiles', 'ProgramFiles(x86)', 'ProgramW6432'],
    ...['CommonProgramFiles', 'CommonProgramFiles(x86)', 'CommonProgramW6432'],
    ...['USERPROFILE', 'USERNAME', 'USERDOMAIN', 'HOMEDRIVE', 'HOMEPATH'],
    ...['NUMBER_OF_PROCESSORS', 'PROCESSOR_ARCHITECTURE', 'PROCESSOR_IDENTIFIER'],
  ],
}

/** Passed and in the key when set: they change what programs print and make. Unset and empty differ. */
export const KEYED_NAMES: readonly string[] = ['LANG', 'LANGUAGE', 'LC_*', 'TZ', 'NODE_ENV', 'NODE_OPTIONS']

/** Names whose values are secrets as a rule: in a key they are kept as hashes, and a short one can be guessed from that. */
export const SECRET_NAME =
  /(^|_)(SECRETS?|TOKENS?|PASS|PASSWD|PASSWORDS?|PASSPHRASE|CREDENTIALS?|AUTH|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY|SIGNING_?KEY)(_|$)/i
