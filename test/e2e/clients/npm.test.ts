import { actionsCache } from './actions-cache.ts'
import { mise } from './mise.ts'
import { moon } from './moon.ts'
import { nx } from './nx.ts'
import { scenarios } from './scenarios.ts'
import { turbo } from './turbo.ts'

scenarios(turbo, nx, moon('grpc'), moon('zstd'), moon('http'), actionsCache, mise)
