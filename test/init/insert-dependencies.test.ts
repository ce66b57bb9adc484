import t from 'tap'
import { insertDependencies } from '../../lib/init/insert-dependencies.js'

/** What is added to each: `m` with the range `^1`. */
const CASES: Array<[title: string, before: string, after: string]> = [
  ['between others, by name',
    '{\n  "dependencies": {\n    "a": "1",\n    "z": "2"\n  }\n}\n',
    '{\n  "dependencies": {\n    "a": "1",\n    "m": "^1",\n    "z": "2"\n  }\n}\n'],
  ['at the end',
    '{\n\t"dependencies": {\n\t\t"a": "1"\n\t}\n}',
    '{\n\t"dependencies": {\n\t\t"a": "1",\n\t\t"m": "^1"\n\t}\n}'],
  ['into an empty object',
    '{\n    "dependencies": {},\n    "x": 1\n}', '{\n    "dependencies": {\n        "m": "^1"\n    },\n    "x": 1\n}'],
  ['as a new field', '{\n  "name": "x"\n}\n', '{\n  "name": "x",\n  "dependencies": {\n    "m": "^1"\n  }\n}\n'],
  ['after an empty line',
    '{\n\n  "x": "y"\n}\n', '{\n\n  "x": "y",\n  "dependencies": {\n    "m": "^1"\n  }\n}\n'],
  ['after a list',
    '{\n  "x": ["y", "dependencies"]\n}\n',
    '{\n  "x": ["y", "dependencies"],\n  "dependencies": {\n    "m": "^1"\n  }\n}\n'],
  ['with CRLF',
    '{\r\n  "name": "x"\r\n}\r\n',
    '{\r\n  "name": "x",\r\n  "dependencies": {\r\n    "m": "^1"\r\n  }\r\n}\r\n'],
  ['in one line', '{"dependencies":{"z":"1"}}', '{"dependencies":{"m": "^1", "z":"1"}}'],
  ['in one line, as a new field', '{"name":"x"}', '{"name":"x", "dependencies": { "m": "^1" }}'],
  ['into nothing', '{}', '{\n  "dependencies": { "m": "^1" }\n}'],
  ['after a byte order mark',
    '\uFEFF{\n  "a": 1\n}',
    '\uFEFF{\n  "a": 1,\n  "dependencies": {\n    "m": "^1"\n  }\n}'],
  ['past brackets, commas and escapes in strings',
    '{\n  "a\\"{": ["},", { "dependencies": {} }],\n  "b": "\\\\{,",\n  "dependencies": {\n    "z": "{"\n  }\n}',
    '{\n  "a\\"{": ["},", { "dependencies": {} }],\n  "b": "\\\\{,",\n' +
    '  "dependencies": {\n    "m": "^1",\n    "z": "{"\n  }\n}'],
  ['into the last of two: the one that counts',
    '{\n  "dependencies": {},\n  "dependencies": {\n    "a": "1"\n  }\n}',
    '{\n  "dependencies": {},\n  "dependencies": {\n    "a": "1",\n    "m": "^1"\n  }\n}'],
  ['with spaces around the colon',
    '{ "dependencies" : { "a" : "1" } }',
    '{ "dependencies" : { "a" : "1", "m": "^1" } }']
]

for (const [title, before, after] of CASES) {
  t.test(`a dependency is inserted ${title}`, async t => {
    t.equal(insertDependencies(before, 'dependencies', { m: '^1' }), after)
    const { dependencies } = JSON.parse(after.replace(/^\uFEFF/, '')) as { dependencies: Record<string, string> }
    t.equal(dependencies.m, '^1')
  })
}

t.test('several, and none', async t => {
  const text = '{\n  "devDependencies": {\n    "b": "1"\n  }\n}\n'
  t.equal(insertDependencies(text, 'devDependencies', {}), text)
  const long = JSON.stringify({ x: 'x'.repeat(16_000_000) })
  t.match(insertDependencies(long, 'dependencies', { a: '3' }), /,\s*"dependencies": \{ "a": "3" \}\}$/)
  t.equal(insertDependencies(text, 'devDependencies', { c: '2', a: '3' }),
    '{\n  "devDependencies": {\n    "a": "3",\n    "b": "1",\n    "c": "2"\n  }\n}\n')
})
