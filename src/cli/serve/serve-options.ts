/** Options of `serve`, by flag, by variable, and in the file that `--config` names. */
export const SERVE_OPTIONS = {
  http: {
    kind: 'text',
    value: 'ADDR',
    summary: 'Where to listen: PORT, HOST:PORT or unix:PATH. Port 0 is any that is free. Default: 127.0.0.1:8377.',
    variable: true,
  },
  grpc: {
    kind: 'text',
    value: 'ADDR',
    summary: 'Where gRPC is served, written likewise. Without: where HTTP is.',
    variable: true,
  },
  tokens: {
    kind: 'text',
    value: 'FILE',
    summary: 'Who may: lines of "read TOKEN" or "write TOKEN". Without: whoever reaches a local address.',
    variable: true,
  },
  tlsCert: { kind: 'text', value: 'FILE', summary: 'PEM: the certificate to show. Speaks TLS alone.', variable: true },
  tlsKey: { kind: 'text', value: 'FILE', summary: 'PEM: the key of --tls-cert.', variable: true },
  tlsClientCa: {
    kind: 'text',
    value: 'FILE',
    summary: 'PEM: clients must show a certificate that is signed by one of these.',
    variable: true,
  },
  cas: {
    kind: 'text',
    value: 'ADDR',
    summary: 'Where blobs are kept, for several servers: s3://BUCKET/PREFIX. The cache folder is a faster copy of it.',
    variable: true,
  },
  ac: {
    kind: 'text',
    value: 'ADDR',
    summary: 'Where action results are kept: redis://HOST. Without: where blobs are.',
    variable: true,
  },
  workers: {
    kind: 'number',
    value: 'N',
    summary: 'How many processes serve, on one store and one address. Default: 1.',
    least: 1,
    variable: true,
  },
  config: {
    kind: 'text',
    value: 'FILE',
    summary: 'JSON with these options by their names, and settings of the store: { "http": "0.0.0.0:8377", … }.',
    variable: true,
  },
  open: { kind: 'flag', summary: 'Serve other machines without tokens.' },
  accessLog: { kind: 'flag', summary: 'Write a line for each request.' },
} as const
