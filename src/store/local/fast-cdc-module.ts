/** `fast-cdc.wat` as WebAssembly, in base64. Generated, never edited; `fast-cdc.test.ts` holds it against published vectors. */
export const FAST_CDC_MODULE: string =
  'AGFzbQEAAAABCwFgBn9/f39+fgF/AwIBAAUEAQCBAQcQAgZtZW1vcnkCAANjdXQAAAqdAQGaAQQBfgF/AX4CfyABQX5xIQcgAkF+cSEJIANBfnEhCiAE' +
  'IQgDQAJAA0AgByAJTw0BIAZCAoYgACAHai0AAEEDdCkDAEIBhnwhBiAGIAhCAYaDUARAIAcPCyAGIAAgB2otAAFBA3QpAwB8IQYgBiAIg1AEQCAHQQFq' +
  'DwsgB0ECaiEHDAALCyAJIApJBEAgCiEJIAUhCAwBCwsgAws='
