import t from 'tap'
import { InvalidOptionError } from '../../lib/index.js'
import { matchOrigins, normalizeOrigin, readTrustedOrigins, showOrigin } from '../../lib/contract/trusted-origins.js'

t.test('each origin has one spelling', async t => {
  for (const [text, origin] of [
    ['https://app.example.com', 'https://app.example.com'],
    ['HTTPS://App.Example.COM:443', 'https://app.example.com'],
    ['http://app.example.com:80', 'http://app.example.com'],
    ['http://app.example.com:443', 'http://app.example.com:443'],
    ['https://app.example.com:80', 'https://app.example.com:80'],
    ['http://[::1]:80', 'http://[::1]'],
    ['http://[::FFFF]:3000', 'http://[::ffff]:3000'],
    ['Capacitor://localhost', 'capacitor://localhost'],
    ['exp://192.168.0.7:8081', 'exp://192.168.0.7:8081'],
    ['exp://192.168.0.7:80', 'exp://192.168.0.7:80'],
    ['com.example.shop://auth', 'com.example.shop://auth'],
    ['shop://', 'shop://'],
    [`https://${'a'.repeat(292)}`, `https://${'a'.repeat(292)}`]
  ] as const) t.equal(normalizeOrigin(text), origin, text)
})

t.test('what a URL parser would read in its own way is no origin', async t => {
  for (const text of [
    '', 'null', 'NULL', 'https://', 'http://:80', 'shop://:80', '://app.example.com', '//app.example.com',
    'https:app.example.com', 'https:/app.example.com', 'https:///app.example.com', 'https:\\\\app.example.com',
    'https://app.example.com/', 'https://app.example.com?', 'https://app.example.com#', 'https://app.example.com:',
    'https://app.example.com:x', 'https://app.example.com:+443', 'https://app.example.com:443443',
    'https://user@app.example.com', 'https://user:password@app.example.com', 'https://@app.example.com',
    'https://app.example.com\\@evil.com', 'https://evil.com\\.example.com', 'https://app%2eexample.com',
    'https://app.example.com evil.com', 'https://app.example.com\n', '\nhttps://app.example.com',
    'https://*.example.com',
    'https://app\u3002example.com', 'https://\uff41pp.example.com', 'https://app.example\u212aom', 'https://[::1',
    'https://[::1]evil.com', 'https://[::1%25eth0]', '1https://app.example.com', 'ht tps://app.example.com',
    `https://${'a'.repeat(293)}`
  ]) t.equal(normalizeOrigin(text), undefined, JSON.stringify(text))
})

t.test('a list is one of normalized texts, and nobody can add to it', async t => {
  const list = readTrustedOrigins(['https://App.example.com:443', 'HTTPS://*.Example.com', 'tauri://localhost'])
  t.strictSame(list, ['https://app.example.com', 'https://*.example.com', 'tauri://localhost'])
  t.ok(Object.isFrozen(list))
  t.strictSame(readTrustedOrigins([]), [])
  t.strictSame(readTrustedOrigins(['web+https://app', 'http://intranet:*']), ['web+https://app', 'http://intranet:*'])
  t.throws(() => readTrustedOrigins(['tauri://localhost', 'tauri://localhost/']), InvalidOptionError)
})

t.test('what is wrong with an origin is said', async t => {
  const problems: Record<string, RegExp> = {
    null: /is what every sandboxed page sends/,
    'https://app.ex\u00e4mple.com': /no browser sends: it sends https:\/\/app\.xn--exmple-cua\.com$/,
    'https://app.example.com\u00e4 b': /has a character that no origin has/,
    'https://app.example.com\n': /has a character that no origin has/,
    'https://[\u00e4': /has a character that no origin has/,
    'a/b://app.example.com': /has no scheme, such as "https:\/\/"/,
    'app.example.com': /has no scheme, such as "https:\/\/"/,
    '*://app.example.com': /trusts too much: a scheme cannot have a wildcard/,
    'FILE://': /no browser sends: the origin of a file is null/,
    'https://user@app.example.com': /has credentials/,
    'https://app.example.com?a': /has a query or a fragment/,
    'https://app.example.com#a': /has a query or a fragment/,
    'https://app.example.com/': /ends with a slash/,
    'https://app.example.com/a': /has a path/,
    'https://app.example.com/a/': /has a path/,
    'https://app.example.com\\a': /has a path/,
    'https://app.example.com:x': /is not an origin such as "https:\/\/app\.example\.com"/,
    'http://127.1': /no browser sends: it sends http:\/\/127\.0\.0\.1$/,
    'https://1.2.3.4.5': /no browser sends: it sends nothing$/,
    'tauri://*': /has a wildcard: only origins with http or https can have one/,
    'web+https://*.example.com': /has a wildcard: only origins with http or https can have one/,
    'https://*example.com:x': /is not a pattern such as/,
    'http:http://*.example.com': /is not a pattern such as/,
    'https://*.com': /trusts too much: "\*" can stand only before a domain/,
    'https://**.com': /trusts too much: "\*" can stand only before a domain/,
    'https://*.example.1com': /trusts too much: "\*" can stand only before a domain/,
    'https://*.example.co_m': /trusts too much: "\*" can stand only before a domain/,
    'https://*': /trusts too much: "\*" can stand only before a domain/,
    'https://*.example.*': /trusts too much: "\*" can stand only before a domain/,
    'https://*.1.2': /trusts too much: "\*" can stand only before a domain/
  }
  for (const [text, message] of Object.entries(problems)) {
    t.throws(() => readTrustedOrigins([text]), { message }, JSON.stringify(text))
  }
})

t.test('a pattern matches whole origins', async t => {
  const cases: Array<[pattern: string, matching: string[], others: string[]]> = [
    ['https://*.example.com', ['https://a.example.com'], [
      'https://example.com', 'https://a.b.example.com', 'http://a.example.com', 'https://a.example.com:8443',
      'https://aexample.com', 'https://a.example.com.evil.com', 'xhttps://a.example.com'
    ]],
    ['https://**.example.com', ['https://a.example.com', 'https://a.b.c.example.com'], [
      'https://example.com', 'https://evilexample.com', 'https://a.example.com.evil.com'
    ]],
    ['https://**.a*.example.com', ['https://x.ab.example.com', 'https://x.y.abc.example.com'], [
      'https://ab.example.com', 'https://x.a.example.com', 'https://x.ba.example.com'
    ]],
    ['https://a-*-b.example.com:443', ['https://a-1-b.example.com'], ['https://a--b.example.com']],
    ['http://*.localhost:3000', ['http://shop.localhost:3000'], ['http://localhost:3000', 'http://shop.localhost']],
    ['http://localhost:*', ['http://localhost', 'http://localhost:1'], ['http://a.localhost:1', 'https://localhost:1']]
  ]
  for (const [pattern, matching, others] of cases) {
    const isTrusted = matchOrigins(readTrustedOrigins([pattern]))
    for (const origin of matching) t.ok(isTrusted(origin), `${pattern} is ${origin}`)
    for (const origin of [...others, pattern]) t.notOk(isTrusted(origin), `${pattern} is not ${origin}`)
  }
})

t.test('a list has origins and patterns', async t => {
  const isTrusted = matchOrigins(readTrustedOrigins([
    'tauri://localhost', 'https://app.example.com', 'https://*.example.org', 'https://*.example.net'
  ]))
  for (const origin of [
    'tauri://localhost', 'https://app.example.com', 'https://a.example.org', 'https://a.example.net'
  ]) t.ok(isTrusted(origin), origin)
  for (const origin of ['tauri://evil', 'https://example.com', 'https://a.app.example.com']) {
    t.notOk(isTrusted(origin), origin)
  }
})

t.test('long origins take no long time', async t => {
  const isTrusted = matchOrigins(readTrustedOrigins(['https://**.a*.b*.example.com', 'https://**.example.org']))
  const origin = normalizeOrigin(`https://${'a.'.repeat(140)}x`)!
  const started = process.hrtime.bigint()
  for (let i = 0; i < 100; i++) t.notOk(isTrusted(origin))
  t.ok(process.hrtime.bigint() - started < 1_000_000_000n)
})

t.test('an origin in a log line is bounded, and without a password', async t => {
  t.equal(showOrigin('https://user:hunter2@app.example.com'), 'https://***@app.example.com')
  t.equal(showOrigin('x'.repeat(10_000)).length, 300)
})
