import t from 'tap'
import { findDifference } from '../../lib/tokens/difference.js'

const EXPECTED = ['https://other.example', 'https://id.example.com']

for (const [received, difference, expected = EXPECTED] of [
  ['https://id.example.com/', 'a slash at its end'],
  ['https://ID.example.com', 'upper and lower case'],
  ['http://id.example.com', 'http and https'],
  ['https://id.example.com:8443', 'the port'],
  ['https://id.example.com/api/auth', 'the path'],
  [' https://id.example.com', 'spaces around it'],
  [['https://elsewhere.example', 'https://id.example.com/'], 'a slash at its end'],
  ['https://id.example.com.evil.example', undefined],
  ['http://id.example.com:3000/api', undefined],
  ['id.example.com', undefined],
  [undefined, undefined],
  [null, undefined],
  [[1, {}], undefined],
  ['https://id.example.com//', 'a slash at its end'],
  ['https://id.example.com:8443/a', 'the port', ['https://id.example.com/a']],
  ['http://id.example.com/a/b', 'the path', ['http://id.example.com/a']],
  ['urn:x:https:y', undefined, ['urn:x:y']],
  ['urn:https://a.example/b', undefined, ['urn:https://a.example/c']],
  ['urn:8443:x', undefined, ['urn:x']]
] as Array<[received: unknown, difference?: string, expected?: string[]]>) {
  t.test(`${JSON.stringify(received)} differs in ${difference ?? 'more'}`, async t => {
    t.equal(findDifference(expected, received), difference)
  })
}
