import t from 'tap'
import { read } from '../fixtures/docs.js'
import { VERSIONS } from '../fixtures/oauth-packages.js'
import { readLock } from '../fixtures/packages.js'

t.test('package-lock.json says of this package what package.json says: npm install leaves a clone clean', async t => {
  const manifest = JSON.parse(read('package.json')) as Record<string, unknown>
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, Record<string, unknown>> }
  const FIELDS = ['name', 'version', 'license', 'dependencies', 'devDependencies', 'peerDependencies', 'bin', 'engines']
  for (const field of FIELDS) t.strictSame(lock.packages['']![field], manifest[field], field)
})

t.test('the packages that the tests install beside are pinned', async t => {
  for (const name of [...VERSIONS.map(version => `better-auth-${version}`), 'frameworks']) {
    const folder = `test/fixtures/${name}`
    const { dependencies } = JSON.parse(read(`${folder}/package.json`)) as { dependencies: Record<string, string> }
    const lock = JSON.parse(readLock(name)) as { packages: Record<string, Record<string, unknown>> }
    t.strictSame(lock.packages['']!.dependencies, dependencies, folder)
    for (const [name, version] of Object.entries(dependencies)) {
      // An alias is `npm:<name>@<version>`.
      t.equal(lock.packages[`node_modules/${name}`]!.version, version.replace(/^npm:.*@/, ''), name)
    }
  }
})
