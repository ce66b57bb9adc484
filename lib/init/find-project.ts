import { posix } from 'node:path'
import { findApp, sourcesOf, type App } from './find-app.js'
import { AUTH_PLACES, findAuth, type AuthFile } from './find-auth.js'
import { findRoute } from './find-route.js'
import { listFiles, readText } from './folder.js'
import { InitError } from './init-error.js'
import { readManifest, type Manifest } from './manifest.js'
import type { PackageManager, Project, Runner } from './project.js'
import { pathsOf } from './templates.js'
import { readTsConfig, type TsConfig } from './tsconfig.js'

/**
 * Finds out what a project is. Reads files, and runs none of them.
 *
 * @param isSameApp - whether Better Auth runs in the app.
 * @throws InitError if there is no valid package.json, or no Better Auth in the app.
 */
export function findProject (root: string, isSameApp = false): Project {
  const files = listFiles(root)
  const manifest = readManifest(root, files.length === 0)
  const tsConfig = readTsConfig(root)
  const source = findAutoload(files, manifest)
  const isAutoload = source !== undefined
  const app = findApp(root, files, manifest)
  const extension = findExtension(files, manifest, tsConfig, source, isAutoload ? undefined : app)
  const language = extension.endsWith('ts') ? 'ts' : 'js'
  const tests = findTests(files, language === 'ts' ? tsConfig : undefined)
  const project: Omit<Project, 'ownRoute'> = {
    manifest,
    language,
    extension,
    modules: findModules(extension, manifest, tsConfig, app),
    isVerbatim: tsConfig?.isVerbatim === true,
    importsTs: tsConfig?.importsTs === true,
    isAutoload,
    source: source ?? findSource(files, app, tsConfig),
    tests,
    helper: isAutoload ? findHelper(root, files, tests) : undefined,
    runner: findRunner(manifest),
    app,
    auth: isSameApp ? requireAuth(root, files) : undefined,
    otherAuth: isSameApp ? undefined : findAuth(root, files)?.path,
    packageManager: findPackageManager(files, manifest),
    hasEnv: files.includes('.env')
  }
  return { ...project, ownRoute: findRoute(root, files, project, pathsOf(project)) }
}

/** An instance needs a database and a secret, which only the user can choose. */
function requireAuth (root: string, files: readonly string[]): AuthFile {
  const auth = findAuth(root, files)
  if (auth !== undefined) return auth
  throw new InitError('No file exports a Better Auth instance. Create one first, with your database: ' +
    `https://www.better-auth.com/docs/installation (looked for ${AUTH_PLACES.join(', ')} and the like)`)
}

/** The folder with `plugins/` and `routes/` in a project of fastify-cli; `undefined` without @fastify/autoload. */
function findAutoload (files: readonly string[], { dependencies }: Manifest): string | undefined {
  if (!dependencies.has('@fastify/autoload')) return undefined
  return ['src/', ''].find(source => ['plugins/', 'routes/'].every(folder => {
    return files.some(file => file.startsWith(source + folder))
  }))
}

function findExtension (
  files: readonly string[], { dependencies }: Manifest, tsConfig: TsConfig | undefined, autoload: string | undefined,
  app: App | undefined
): string {
  if (app !== undefined) return posix.extname(app.path).slice(1)
  const sources = sourcesOf(files)
  const loaded = autoload === undefined
    ? []
    : sources.filter(file => /^(?:plugins|routes)\//.test(file.slice(autoload.length)))
  const found = loaded.length > 0 ? loaded : sources
  if (found.some(file => file.endsWith('.ts'))) return 'ts'
  const isTypeScript = tsConfig !== undefined || dependencies.has('typescript')
  return isTypeScript && loaded.length === 0 ? 'ts' : 'js'
}

function findModules (
  extension: string, { type }: Manifest, tsConfig: TsConfig | undefined, app: App | undefined
): Project['modules'] {
  if (extension.startsWith('m')) return 'esm'
  if (extension.startsWith('c')) return 'cjs'
  const { module = '' } = extension === 'ts' ? tsConfig ?? {} : {}
  if (['commonjs', 'umd', 'amd'].includes(module)) return 'cjs'
  if (module.startsWith('es') || module === 'preserve') return 'esm'
  if (type !== undefined) return type === 'module' ? 'esm' : 'cjs'
  // Node.js looks at the code if package.json has no type.
  return extension === 'js' && app !== undefined && /^\s*import\b[^(]/m.test(app.text) ? 'esm' : 'cjs'
}

function findSource (files: readonly string[], app: App | undefined, tsConfig: TsConfig | undefined): string {
  if (app !== undefined) return app.path.slice(0, -posix.basename(app.path).length)
  return tsConfig?.rootDir === 'src' || files.some(file => file.startsWith('src/')) ? 'src/' : ''
}

function findTests (files: readonly string[], tsConfig: TsConfig | undefined): string {
  const found = ['test/', 'tests/', '__tests__/'].find(folder => files.some(file => file.startsWith(folder)))
  const { hasInclude, rootDir } = tsConfig ?? {}
  // The compiler refuses files outside of its rootDir. Windows has other ways to lead out of the project.
  const isLimited = rootDir !== undefined && /^\w[^\\:\p{Cc}]*$/u.test(rootDir) && hasInclude !== true
  return found ?? (isLimited ? `${rootDir.replace(/\/*$/, '/')}test/` : 'test/')
}

function findHelper (root: string, files: readonly string[], tests: string): string | undefined {
  return [`${tests}helper.ts`, `${tests}helper.js`].find(file => {
    if (!files.includes(file)) return false
    const text = readText(root, file)!
    // Not one pattern: in a text made for it, that would search to the end for each of many beginnings.
    return text.includes('fastify-cli/helper') && /\bbuild\b/.test(text)
  })
}

function findRunner ({ dependencies }: Manifest): Runner {
  return (['vitest', 'jest', 'tap'] as const).find(name => dependencies.has(name)) ?? 'node:test'
}

function findPackageManager (files: readonly string[], { packageManager = '' }: Manifest): PackageManager {
  const LOCKS = { pnpm: ['pnpm-lock.yaml'], yarn: ['yarn.lock'], bun: ['bun.lock', 'bun.lockb'] }
  const names = ['pnpm', 'yarn', 'bun'] as const
  return names.find(name => packageManager.startsWith(`${name}@`)) ??
    names.find(name => LOCKS[name].some(lock => files.includes(lock))) ?? 'npm'
}
