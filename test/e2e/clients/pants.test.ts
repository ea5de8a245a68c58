import { pants } from './pants.ts'
import { scenarios } from './scenarios.ts'

scenarios(pants)
