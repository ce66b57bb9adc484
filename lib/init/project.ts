import type { App } from './find-app.js'
import type { AuthFile } from './find-auth.js'
import type { Manifest } from './manifest.js'

export type Runner = 'node:test' | 'tap' | 'vitest' | 'jest'
export type PackageManager = 'npm' | 'pnpm' | 'yarn' | 'bun'

/** What init has found out about a project. All paths are relative to its root, with `/`. */
export interface Project {
  readonly manifest: Manifest
  readonly language: 'ts' | 'js'
  /** What the files are when they run. */
  readonly modules: 'esm' | 'cjs'
  /** Whether TypeScript compiles imports and exports as they are written (`verbatimModuleSyntax`). */
  readonly isVerbatim: boolean
  /** Of new files: `ts`, `js`, `mjs` and so on. */
  readonly extension: string
  /** Whether imports name `.ts` files. */
  readonly importsTs: boolean
  /** Whether @fastify/autoload loads whatever is in `plugins/` and `routes/`. */
  readonly isAutoload: boolean
  /** The folder of the sources: empty for the root, else with a `/` at its end. */
  readonly source: string
  /** The folder of the tests, with a `/` at its end. */
  readonly tests: string
  /** The file of fastify-cli's `build()` for tests. */
  readonly helper: string | undefined
  readonly runner: Runner
  readonly app: App | undefined
  /** The Better Auth instance for the plugin; `undefined` if it runs in a server of its own. */
  readonly auth: AuthFile | undefined
  /** A file that exports such an instance although the project was not said to have one. */
  readonly otherAuth: string | undefined
  /** A file that may have a route `GET /me` already. */
  readonly ownRoute: string | undefined
  readonly packageManager: PackageManager
  /** Whether there is a `.env`. */
  readonly hasEnv: boolean
}
