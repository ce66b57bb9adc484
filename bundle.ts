// Bundles lib into dist, for `npm run build`: Node.js spends time on each file that it imports, and TypeBox alone has
// hundreds. The names and the lines stay readable, so there are no source maps.
import { copyFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

/**
 * These files are loaded only for the option `userSchema`. They use the application's copy of TypeBox, in which the
 * application registers its formats and types. The rest of lib needs few parts of TypeBox, and these are bundled.
 */
const FOR_USER_SCHEMA = /[\\/]lib[\\/]tokens[\\/](?:schema-reader|formats)\.ts$/

const typeBox: Plugin = {
  name: 'typebox',
  setup ({ onResolve }) {
    onResolve({ filter: /^@sinclair\/typebox/ }, ({ path, importer }) => {
      return FOR_USER_SCHEMA.test(importer) ? { path, external: true } : { path: pathOf(path) }
    })
  }
}

/**
 * All other packages stay outside. Those that are CommonJS, each with the export that lib uses, are loaded by one file
 * with `require()`, in about half the time of `import`, which also parses each to learn the names of its exports.
 */
const COMMONJS = new Map([
  ['@fastify/error', 'createError'], ['@fastify/jwt', 'default'], ['fastify-plugin', 'default'],
  ['get-jwks', 'default'], ['lru-cache', 'LRUCache']
])

const commonJs: Plugin = {
  name: 'commonjs',
  setup ({ onLoad, onResolve }) {
    onResolve({ filter: /^[^.]/ }, ({ path }) => COMMONJS.has(path) ? { path, namespace: 'commonjs' } : undefined)
    onLoad({ filter: /^/, namespace: 'commonjs' }, ({ path }) => {
      return { contents: `export { ${camelCase(path)} as ${COMMONJS.get(path)} } from './dependencies.cjs'` }
    })
    onResolve({ filter: /^/, namespace: 'commonjs' }, ({ path }) => ({ path, external: true }))
  }
}

function requireAll (): string {
  const lines = [...COMMONJS].map(([path, name]) => {
    return `exports.${camelCase(path)} = require('${path}')${name === 'default' ? '' : `.${name}`}\n`
  })
  return lines.join('')
}

/** `@fastify/jwt` is `fastifyJwt`. */
function camelCase (name: string): string {
  return name.replace(/^\W/, '').replace(/\W(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function pathOf (specifier: string): string {
  return fileURLToPath(import.meta.resolve(specifier))
}

await build({
  entryPoints: ['lib/index.ts', 'lib/testing/index.ts', 'lib/cli.ts'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  plugins: [commonJs, typeBox],
  logLevel: 'warning'
})
await writeFile('dist/dependencies.cjs', requireAll())
// Its licence asks for this.
await copyFile(new URL('../../license', import.meta.resolve('@sinclair/typebox')), 'dist/typebox-license.txt')
