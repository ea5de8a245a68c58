import { secret, TOKEN, type Tool } from '../tool.ts'

export const rush: Tool = {
  name: 'rush',
  title: 'Rush',
  speaks: 'its HTTP build cache',
  setup(remote) {
    const url = `${remote.http}/rush/`
    const values = [
      { path: ['buildCacheEnabled'], value: true, defaults: [false] },
      { path: ['cacheProvider'], value: 'http', defaults: ['local-only'] },
      { path: ['httpConfiguration', 'url'], value: url },
      { path: ['httpConfiguration', 'isCacheWriteAllowed'], value: true, defaults: [false] },
    ]
    const text = {
      ...{ buildCacheEnabled: true, cacheProvider: 'http' },
      httpConfiguration: { url, isCacheWriteAllowed: true },
    }
    return {
      environment: secret(remote, 'RUSH_BUILD_CACHE_CREDENTIAL', `Bearer ${TOKEN}`),
      files: [
        {
          path: 'common/config/rush/build-cache.json',
          text: `${JSON.stringify(text, null, 2)}\n`,
          edit: { kind: 'json', values },
        },
      ],
      notes: [
        'Results that only CI should write: isCacheWriteAllowed false, and RUSH_BUILD_CACHE_WRITE_ALLOWED=1 there.',
      ],
    }
  },
  exchange: { kind: 'http', entry: (nonce) => ({ path: `/rush/recue-check-${nonce.slice(0, 40)}`, body: nonce }) },
}
