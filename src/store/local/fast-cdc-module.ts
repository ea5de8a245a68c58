/** `fast-cdc.wat` as WebAssembly, in base64. Generated, never edited; `fast-cdc.test.ts` holds it against published vectors. */
export const FAST_CDC_MODULE: string =
  'AGFzbQEAAAABCwFgBn9/f39+fgF/AwIBAAUDAQARBxACBm1lbW9yeQIAA2N1dAAACp0BAZoBBAF+AX8BfgJ/IAFBfnEhByACQX5xIQkgA0F+cSEKIAQhCANA' +
  'AkADQCAHIAlPDQEgBkIChiAAIAdqLQAAQQN0KQMAQgGGfCEGIAYgCEIBhoNQBEAgBw8LIAYgACAHai0AAUEDdCkDAHwhBiAGIAiDUARAIAdBAWoPCyAHQQJq' +
  'IQcMAAsLIAkgCkkEQCAKIQkgBSEIDAELCyADCw=='
