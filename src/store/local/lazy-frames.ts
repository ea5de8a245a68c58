import type { Frames } from '../contracts.ts'
import type { LocalFramesOptions } from './local-frames.ts'

/** Loaded when it is first asked: only servers and remotes take frames as they are. */
export function lazyFrames(options: LocalFramesOptions): Frames {
  let loading: Promise<Frames> | undefined
  const load = () => {
    loading ??= import('./local-frames.ts').then(({ localFrames }) => localFrames(options))
    return loading
  }
  return {
    readFrame: async (...asked) => (await load()).readFrame(...asked),
    writeFrame: async (...asked) => (await load()).writeFrame(...asked),
  }
}
