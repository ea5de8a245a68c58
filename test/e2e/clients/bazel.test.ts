import { bazelGrpc, bazelHttp } from './bazel.ts'
import { scenarios } from './scenarios.ts'

scenarios(bazelHttp, bazelGrpc)
