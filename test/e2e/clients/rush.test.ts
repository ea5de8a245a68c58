import { rush } from './rush.ts'
import { scenarios } from './scenarios.ts'

scenarios(rush)
