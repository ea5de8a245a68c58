import { gradle } from './gradle.ts'
import { maven } from './maven.ts'
import { scenarios } from './scenarios.ts'

scenarios(gradle, maven)
