import t from 'tap'
import { VERSION } from '../../lib/contract/version.js'
import { read } from '../fixtures/docs.js'

t.test('the version is that of package.json', async t => {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  t.equal(VERSION, version)
})
