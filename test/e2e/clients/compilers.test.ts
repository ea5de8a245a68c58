import { ccache } from './ccache.ts'
import { ccacheHelper } from './ccache-helper.ts'
import { go } from './go.ts'
import { sccacheActions, sccacheS3, sccacheWebdav } from './sccache.ts'
import { scenarios } from './scenarios.ts'

scenarios(
  ...[ccache('subdirs'), ccache('flat'), ccache('bazel'), ccacheHelper],
  ...[sccacheWebdav, sccacheS3, sccacheActions, go],
)
