import t from 'tap'
import { read } from '../fixtures/docs.js'

t.test('package-lock.json says of this package what package.json says: npm install leaves a clone clean', async t => {
  const manifest = JSON.parse(read('package.json')) as Record<string, unknown>
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, Record<string, unknown>> }
  const FIELDS = ['name', 'version', 'license', 'dependencies', 'devDependencies', 'peerDependencies', 'bin', 'engines']
  for (const field of FIELDS) t.strictSame(lock.packages['']![field], manifest[field], field)
})
