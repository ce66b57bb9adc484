import { randomBytes } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import Fastify from 'fastify'
import t from 'tap'
import betterAuthPlugin, {
  ALGORITHMS, InvalidOptionError, UserSchema, type BetterAuthOptions
} from '../../lib/index.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'

const ORIGIN = 'https://id.example.com'

/** Options as a caller without types may hand them over, in an environment without `BETTER_AUTH_URL`. */
const resolve = (options: unknown, env: NodeJS.ProcessEnv = {}) => resolveOptions(options as BetterAuthOptions, env)

function messageOf (options: unknown, env?: NodeJS.ProcessEnv): string {
  try {
    resolve(options, env)
  } catch (error) {
    if (error instanceof InvalidOptionError) return error.message
    throw error
  }
  return 'accepted'
}

const NEVER_RIGHT = [null, true, NaN, Infinity, -Infinity, 1n, Symbol('x'), () => {}]

t.test('defaults', async t => {
  const defaults = {
    authUrl: 'http://localhost:3000',
    jwksUrls: [
      'http://localhost:3000/api/auth/jwks', 'http://localhost:3000/.well-known/jwks.json',
      'http://localhost:3000/api/auth/.well-known/jwks.json', 'http://localhost:3000/jwks'
    ],
    publicUrl: 'http://localhost:3000',
    issuer: ['http://localhost:3000'],
    audience: ['http://localhost:3000'],
    algorithms: ['EdDSA', 'ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    secret: undefined,
    clockTolerance: 5000,
    tokenCache: { max: 10_000, maxBytes: 33_554_432 },
    userSchema: undefined,
    userId: 'either',
    sessionCookie: false,
    resource: undefined,
    exchange: undefined,
    dpop: undefined,
    roles: undefined,
    auth: undefined,
    rolesFrom: undefined,
    organizationFrom: undefined,
    extractToken: undefined,
    isRevoked: undefined,
    callbackTimeout: 5000,
    openapi: true,
    unprotected: undefined,
    jwks: {
      maxAge: 600_000,
      staleWhileRevalidate: 60_000,
      staleIfError: 3_600_000,
      requestsPerMinute: 20,
      timeout: 5000,
      headers: {}
    }
  }
  t.strictSame(resolve({}), defaults)
  const names = [
    'authUrl', 'publicUrl', 'jwksPath', 'issuer', 'audience', 'algorithms', 'secret', 'clockTolerance', 'tokenCache',
    'jwks', 'userSchema', 'userId', 'sessionCookie', 'resource', 'exchange', 'dpop',
    'auth', 'mount',
    'roles', 'rolesFrom', 'organizationFrom', 'extractToken', 'isRevoked', 'callbackTimeout', 'openapi', 'unprotected'
  ]
  t.strictSame(resolve(Object.fromEntries(names.map(name => [name, undefined]))), defaults, 'undefined means unset')
  const jwks = Object.fromEntries(Object.keys(defaults.jwks).map(name => [name, undefined]))
  t.strictSame(resolve({ jwks, tokenCache: { max: undefined } }), defaults, 'undefined means unset, one level down')
  t.strictSame(resolve({ jwks: {}, tokenCache: {} }), defaults)
})

t.test('BETTER_AUTH_URL', async t => {
  t.equal(resolve({}, { BETTER_AUTH_URL: 'https://env.example/' }).authUrl, 'https://env.example')
  t.equal(resolve({ authUrl: undefined }, { BETTER_AUTH_URL: 'https://env.example/' }).authUrl, 'https://env.example')
  t.equal(
    resolve({ authUrl: ORIGIN }, { BETTER_AUTH_URL: 'https://env.example' }).authUrl, ORIGIN, 'gives way to the option'
  )
  t.equal(
    resolve({ authUrl: ORIGIN }, { BETTER_AUTH_URL: 'nonsense' }).authUrl, ORIGIN,
    'gives way to the option, also when it is wrong'
  )

  for (const value of ['', ' ', 'id.example.com']) {
    t.equal(
      messageOf({}, { BETTER_AUTH_URL: value }),
      'Option "authUrl" (from the environment variable BETTER_AUTH_URL) must be ' +
        `an absolute http(s) URL without credentials, query or fragment, got '${value}'`
    )
  }
  t.notMatch(
    messageOf({ authUrl: '' }, { BETTER_AUTH_URL: ORIGIN }), 'BETTER_AUTH_URL', 'is not named where it is not at fault'
  )

  const before = process.env.BETTER_AUTH_URL
  t.teardown(() => {
    if (before === undefined) delete process.env.BETTER_AUTH_URL
    else process.env.BETTER_AUTH_URL = before
  })
  process.env.BETTER_AUTH_URL = 'https://process.example'
  t.equal(resolveOptions({}).authUrl, 'https://process.example', 'is read from the environment of the process')
})

t.test('authUrl that is accepted', async t => {
  const urls: Array<[authUrl: string, base: string, origin: string]> = [
    [ORIGIN, ORIGIN, ORIGIN],
    [`${ORIGIN}/`, ORIGIN, ORIGIN],
    [`${ORIGIN}///`, ORIGIN, ORIGIN],
    [`${ORIGIN}/api/auth`, `${ORIGIN}/api/auth`, ORIGIN],
    [`${ORIGIN}/api/auth//`, `${ORIGIN}/api/auth`, ORIGIN],
    [`${ORIGIN}/tenants/@acme/auth/`, `${ORIGIN}/tenants/@acme/auth`, ORIGIN],
    ['HTTPS://ID.Example.COM:443', ORIGIN, ORIGIN],
    ['http://localhost:3000', 'http://localhost:3000', 'http://localhost:3000'],
    ['http://localhost:80/', 'http://localhost', 'http://localhost'],
    ['http://127.0.0.1:8080/auth', 'http://127.0.0.1:8080/auth', 'http://127.0.0.1:8080'],
    ['http://[::1]:8080', 'http://[::1]:8080', 'http://[::1]:8080'],
    ['https://münchen.example', 'https://xn--mnchen-3ya.example', 'https://xn--mnchen-3ya.example']
  ]
  for (const [authUrl, base, origin] of urls) {
    const resolved = resolve({ authUrl })
    t.equal(resolved.authUrl, base, authUrl)
    t.strictSame(resolved.issuer, [origin], `${authUrl}: its origin is the issuer`)
    t.strictSame(resolved.audience, [origin], `${authUrl}: its origin is the audience`)
    t.strictSame(resolved.jwksUrls, base === origin
      ? [
          `${base}/api/auth/jwks`, `${base}/.well-known/jwks.json`, `${base}/api/auth/.well-known/jwks.json`,
          `${base}/jwks`
        ]
      : [`${base}/jwks`, `${base}/.well-known/jwks.json`], `${authUrl}: where the JWKS may be`)
  }
})

t.test('authUrl that is refused', async t => {
  const shapes: Record<string, string[]> = {
    relative: ['/api/auth', 'api/auth', './auth', '//id.example.com', 'id.example.com', 'localhost:3000', 'localhost'],
    empty: ['', ' ', '\n'],
    'another scheme': [
      'ftp://id.example.com', 'ws://id.example.com', 'wss://id.example.com', 'file:///etc/passwd', 'data:,x',
      'about:blank', 'httpss://x', 'xhttps://id.example.com'
    ],
    credentials: [
      'https://u:p@id.example.com', 'https://u@id.example.com', 'https://:p@id.example.com',
      'https://u:@id.example.com', 'https://u:p@ss@id.example.com'
    ],
    'empty credentials': [
      'http://@x', 'https://@id.example.com', 'https://:@id.example.com', 'https://@@id.example.com'
    ],
    query: [`${ORIGIN}?a=b`, `${ORIGIN}/?a=b`, `${ORIGIN}/api/auth?a=b`],
    'empty query': [`${ORIGIN}?`, `${ORIGIN}/?`, `${ORIGIN}/api/auth?`],
    fragment: [`${ORIGIN}#a`, `${ORIGIN}/#`, `${ORIGIN}/api/auth#`],
    spaces: [
      ` ${ORIGIN}`, `${ORIGIN} `, `${ORIGIN}/a b`, 'https://id .example.com', 'https:// id.example.com', `${ORIGIN}\n`,
      `\t${ORIGIN}`, 'https://id.exa\nmple.com', `${ORIGIN}\u00a0`, `\ufeff${ORIGIN}`
    ],
    backslashes: [
      'https:\\\\id.example.com', 'https:/\\id.example.com', `${ORIGIN}\\api`, `${ORIGIN}/api\\auth`,
      'https://\\id.example.com'
    ],
    'missing slashes': ['https:id.example.com', 'https:/id.example.com', 'https//id.example.com', 'https:'],
    'no host': ['https://', 'https:///', 'https:///id.example.com', 'http://:3000', 'http://:3000/api'],
    'a host that is none': [
      'https://id.example.com:99999', 'https://id.example.com:x', 'https://[::1', 'https://[x]', 'https://%',
      'https://a<b', 'http://1.2.3.4.5', 'https://\0'
    ]
  }
  for (const [what, urls] of Object.entries(shapes)) {
    for (const authUrl of urls) {
      t.match(
        messageOf({ authUrl }),
        /^Option "authUrl" must be an absolute http\(s\) URL without credentials, query or fragment, got '/,
        `${what}: ${JSON.stringify(authUrl)}`
      )
    }
  }
  t.match(
    messageOf({ authUrl: 'ftp://id.example.com/x' }), "got 'ftp://id.example.com/x'", 'the message says what it got'
  )
  for (const authUrl of [...NEVER_RIGHT, 0, false, {}, [], [ORIGIN], new URL(ORIGIN)]) {
    t.match(messageOf({ authUrl }), /^Option "authUrl" must be an absolute http\(s\) URL/, typeof authUrl)
  }
})

t.test('a password in authUrl is in no message', async t => {
  const urls = [
    'https://ada:hunter2@id.example.com', 'https://:hunter2@id.example.com', 'https://hunter2@id.example.com',
    'https://hunter2:@id.example.com',
    'https://ada:hunter2@id.example.com/api/auth', 'https://ada:hunter2@id.example.com?x=1',
    'https://ada:hunter2@id.example.com/a@b', 'ftp://ada:hunter2@id.example.com',
    // Passwords that were not encoded, so that the URL parser does not see them for what they are.
    'https://ada:hun@hunter2@id.example.com', 'https://ada:hunter2@2@id.example.com',
    'https://ada:hunter2/x@id.example.com', 'https://ada:x/hunter2@id.example.com',
    'https://ada:hunter2?x@id.example.com', 'https://ada:x?hunter2@id.example.com',
    'https://ada:hunter2#x@id.example.com', 'https://ada:x#hunter2@id.example.com',
    'https://ada:hunter2 x@id.example.com', 'https://ada:x hunter2@id.example.com',
    'https://ada:hunter2\tx@id.example.com', 'https://ada:hunter2\nx@id.example.com',
    'https://ada:hunter2\\x@id.example.com', 'https://ada:hunter2%@id.example.com',
    'https://ada:hunter2/x/y z@id.example.com/api',
    // URLs that are wrong in other ways too.
    'https:ada:hunter2@id.example.com', 'https:/ada:hunter2@id.example.com', 'https:\\\\ada:hunter2@id.example.com',
    'ada:hunter2@id.example.com',
    '//ada:hunter2@id.example.com', ' https://ada:hunter2@id.example.com', 'https://ada:hunter2@',
    'https://ada:hunter2@id.example.com:port', 'https:///ada:hunter2@id.example.com'
  ]
  for (const url of urls) {
    for (const message of [messageOf({ authUrl: url }), messageOf({}, { BETTER_AUTH_URL: url })]) {
      t.match(message, /^Option "authUrl"/, JSON.stringify(url))
      t.notMatch(message, 'hunter2', message)
    }
  }
  const values: Array<[what: string, authUrl: unknown]> = [
    ['a URL object', new URL('https://ada:hunter2@id.example.com')],
    ['an array', ['https://ada:hunter2@id.example.com']],
    ['an object', { href: 'https://ada:hunter2@id.example.com', password: 'hunter2' }]
  ]
  for (const [what, authUrl] of values) {
    t.match(messageOf({ authUrl }), /^Option "authUrl"/, what)
    t.notMatch(messageOf({ authUrl }), 'hunter2', what)
  }
})

t.test('jwksPath', async t => {
  for (const base of [ORIGIN, `${ORIGIN}/api/auth`]) {
    for (const jwksPath of [
      '/jwks', '/.well-known/jwks.json', '/api/auth/jwks', '/jwks/', '/a%20b', '/a:b@c', '/...', '/a/.b', '/a..b',
      '/~a', '//jwks'
    ]) {
      t.strictSame(resolve({ authUrl: `${base}/`, jwksPath }).jwksUrls, [base + jwksPath], `${jwksPath} below ${base}`)
    }
    const refused = [
      '', '/', 'jwks', './jwks', '../jwks', 'https://evil.example/jwks', '?', '#', ' /jwks', '/jwks ', '/jw ks',
      '/jwks\n', '/jwks?a=b', '/jwks?', '/jwks#', '/jwks#a', '\\jwks', '/jw\\ks', '/\\evil.example', '/../jwks',
      '/a/../jwks', '/a/./jwks', '/./jwks', '/jwks/.', '/jwks/..', '/..', '/.', '/%2e%2e/jwks', '/%2E/jwks',
      '/a/.%2e/jwks', '/clé', '/a"b', '/a<b', '/a\0', '@evil.example', ':8080/jwks', '.evil.example/jwks'
    ]
    for (const jwksPath of refused) {
      t.match(
        messageOf({ authUrl: base, jwksPath }),
        /^Option "jwksPath" must be a path that starts with "\/", such as "\/api\/auth\/jwks", got ['"]/,
        `${JSON.stringify(jwksPath)} below ${base}`
      )
    }
  }
  t.match(messageOf({ jwksPath: 'jwks' }), "got 'jwks'", 'the message says what it got')
  for (const jwksPath of [...NEVER_RIGHT, 0, false, {}, [], ['/jwks']]) {
    t.match(
      messageOf({ jwksPath }), /^Option "jwksPath" must be a path/, typeof jwksPath
    )
  }
})

for (const name of ['issuer', 'audience'] as const) {
  t.test(name, async t => {
    t.strictSame(resolve({ [name]: 'https://other.example/' })[name], ['https://other.example/'], 'is taken literally')
    t.strictSame(resolve({ [name]: ['a', 'b'] })[name], ['a', 'b'])
    t.equal(resolve({ [name]: false })[name], false)
    t.strictSame(resolve({ authUrl: `${ORIGIN}/api/auth`, [name]: undefined })[name], [ORIGIN])
    const other = name === 'issuer' ? 'audience' : 'issuer'
    t.strictSame(resolve({ authUrl: ORIGIN, [name]: 'a' })[other], [ORIGIN], `does not change the ${other}`)
    const expects = `a non-empty string, a non-empty array of them, ${name === 'issuer' ? 'a function, ' : ''}or false`
    const neverRight = NEVER_RIGHT.filter(value => name !== 'issuer' || typeof value !== 'function')
    for (const value of [
      ...neverRight, '', 0, [], [''], ['a', ''], ['a', null], ['a', false], [['a']], [false], {},
      { 0: 'a', length: 1 }, /a/, new Set(['a'])
    ]) {
      t.match(
        messageOf({ [name]: value }), `Option "${name}" must be ${expects}, got `, String(typeof value)
      )
    }
    t.match(messageOf({ [name]: ['a', 1] }), "got [ 'a', 1 ]", 'the message says what it got')
  })
}

t.test('an issuer with a pattern is refused, and the message names the function', async t => {
  for (const issuer of ['https://*.example.com', '*', ['https://id.example.com', 'https://**.example.com/x']]) {
    const got = [issuer].flat().at(-1)!
    t.equal(
      messageOf({ issuer }),
      `Option "issuer" must be exact, got '${got}': patterns are not supported. To accept many issuers, give a ` +
        'function: iss => boolean'
    )
  }
  const isTenant = resolve({ issuer: (iss: string) => iss.endsWith('.example.com') }).issuer as (iss: string) => boolean
  t.strictSame([isTenant('https://a.example.com'), isTenant('https://evil.example')], [true, false])
})

t.test('algorithms', async t => {
  for (const alg of ALGORITHMS) t.strictSame(resolve({ algorithms: [alg] }).algorithms, [alg])
  t.strictSame(resolve({ algorithms: ['RS256', 'EdDSA'] }).algorithms, ['RS256', 'EdDSA'])
  for (const value of [
    ...NEVER_RIGHT, 'EdDSA', '', 0, false, {}, [], ['HS256'], ['none'], ['NONE'], ['eddsa'], ['Ed25519'],
    ['EdDSA', 'HS512'], ['EdDSA', ''], ['EdDSA', null], [['EdDSA']], ['constructor'], new Set(['EdDSA'])
  ]) {
    t.match(
      messageOf({ algorithms: value }),
      new RegExp([
        '^Option "algorithms" must be a non-empty array of EdDSA, ES256, .*PS512 ',
        '\\(HS256 is enabled by the option "secret"\\), got '
      ].join('')),
      typeof value
    )
  }
  t.match(messageOf({ algorithms: ['HS256'] }), "got [ 'HS256' ]", 'the message says what it got')
})

t.test('secret', async t => {
  const secret = randomBytes(32).toString('base64url')
  t.equal(resolve({ secret }).secret, secret)
  t.equal(resolve({ secret: secret.slice(0, 32) }).secret, secret.slice(0, 32), 'of 32 bytes exactly')
  t.equal(resolve({ secret: 'é'.repeat(16) }).secret, 'é'.repeat(16), 'is measured in bytes')

  t.equal(
    messageOf({ secret: 'hunter2hunter2hunter2hunter2hun' }),
    'Option "secret" must be a shared secret of at least 32 bytes, got 31 bytes'
  )
  t.equal(messageOf({ secret: '' }), 'Option "secret" must be a shared secret of at least 32 bytes, got 0 bytes')
  t.equal(
    messageOf({ secret: Buffer.from('hunter2') }),
    'Option "secret" must be a shared secret of at least 32 bytes, got a value of type object'
  )
  t.equal(
    messageOf({ secret: 42 }),
    'Option "secret" must be a shared secret of at least 32 bytes, got a value of type number'
  )

  const pem = '-----BEGIN PUBLIC KEY-----\nhunter2hunter2hunter2hunter2hunter2\n-----END PUBLIC KEY-----\n'
  const jwk = '{ "kty": "OKP", "crv": "Ed25519", "x": "hunter2hunter2hunter2hunter2hunter2" }'
  for (const key of [
    pem, ` ${pem}`, pem.replace('PUBLIC', 'PRIVATE'), pem.replace('PUBLIC KEY', 'CERTIFICATE'), jwk, `{"keys":[${jwk}]}`
  ]) {
    t.equal(messageOf({ secret: key }), 'Option "secret" must be a shared secret, got a PEM or a JWK')
  }
  for (const value of [
    ...NEVER_RIGHT, false, 0, {}, [], ['hunter2'], { hunter2: 'hunter2' }, Buffer.from('hunter2'), 'hunter2',
    'hunter2\n'
  ]) {
    const message = messageOf({ secret: value })
    t.match(message, /^Option "secret" must be a shared secret/, typeof value)
    t.notMatch(message, /hunter|42/, 'nothing of the value is in the message')
  }
  t.notMatch(messageOf({ secrets: 'hunter2' }), 'hunter2', 'nor where the name is misspelt')
})

t.test('a secret in the wrong place within sessionCookie is not shown', async t => {
  const secret = 'hunter2hunter2hunter2hunter2hunter2'
  for (const sessionCookie of [
    secret, [{ secret }], { name: { secret } }, { prefix: [secret] }, { secret: { secret } },
    { trustedOrigins: { secret } }
  ]) {
    const message = messageOf({ sessionCookie })
    t.match(message, /^Option "sessionCookie/)
    t.notMatch(message, 'hunter2')
  }
})

t.test('sessionCookie.secret, under the same rules as secret', async t => {
  const secret = randomBytes(32).toString('base64url')
  const resolved = resolve({ sessionCookie: { secret } })
  t.match(resolved.sessionCookie, { secret })
  t.equal(resolved.secret, undefined, 'it is not the secret of bearer tokens')
  t.match(resolve({ secret, sessionCookie: true }).sessionCookie, { secret: undefined }, 'nor the other way round')
  const messageOfCookie = (secret: unknown) => messageOf({ sessionCookie: { secret } })
  t.equal(
    messageOfCookie('hunter2'),
    'Option "sessionCookie.secret" must be a shared secret of at least 32 bytes, got 7 bytes'
  )
  t.equal(
    messageOfCookie(42),
    'Option "sessionCookie.secret" must be a shared secret of at least 32 bytes, got a value of type number'
  )
  t.equal(
    messageOfCookie('-----BEGIN PUBLIC KEY-----\nhunter2hunter2hunter2\n'),
    'Option "sessionCookie.secret" must be a shared secret, got a PEM or a JWK'
  )
})

t.test('exchange.shared needs a store and a secret, and shows neither', async t => {
  const secret = randomBytes(32).toString('base64url')
  class Store {
    readonly #password = 'hunter2'
    readonly options = { password: 'hunter2' }
    get () { return this.#password }
    set () {}
    add () { return true }
    delete () {}
  }
  const store = new Store()
  t.equal(resolve({ exchange: true }).exchange!.shared, undefined)
  const { shared } = resolve({ exchange: { shared: { store, secret } } }).exchange!
  t.strictSame(shared!.secret, secret)
  t.equal(shared!.store.get(''), 'hunter2', 'an instance of a class keeps its methods')

  const [ofStore, ofSecret] = [
    'Option "exchange.shared.store" must be an object with the functions "get", "set", "add" and "delete"',
    'Option "exchange.shared.secret" must be a shared secret of at least 32 bytes'
  ]
  for (const [given, message] of [
    [{ secret }, `${ofStore}, got a value of type undefined`],
    [{ store: { ...store, get () {} }, secret }, `${ofStore}, got a value of type object`],
    [{ store: new Map([['password', 'hunter2']]), secret }, `${ofStore}, got a value of type object`],
    [{ store }, `${ofSecret}, got a value of type undefined`],
    [{ store, secret: 'hunter2' }, `${ofSecret}, got 7 bytes`],
    [{ store, secret: ['hunter2'] }, `${ofSecret}, got a value of type object`],
    [
      { store, secret: '-----BEGIN PUBLIC KEY-----\nhunter2hunter2hunter2\n' },
      'Option "exchange.shared.secret" must be a shared secret, got a PEM or a JWK'
    ],
    [
      { store, secret, ttl: 1 },
      'Unknown option "exchange.shared.ttl". Known options: exchange.shared.store, exchange.shared.secret'
    ],
    ['hunter2', 'Option "exchange.shared" must be an object with "store" and "secret", got a value of type string']
  ] as const) {
    t.equal(messageOf({ exchange: { shared: given } }), message)
  }
})

const TOO_SMALL = [-1, -0.001]
const MILLISECONDS = { good: [0, 0.5, 1, 86_400_000], bad: TOO_SMALL, expects: 'a number of milliseconds, 0 or more' }
const NUMBERS: Record<string, { good: number[], bad: number[], expects: string }> = {
  clockTolerance: MILLISECONDS,
  'jwks.maxAge': MILLISECONDS,
  'jwks.staleWhileRevalidate': MILLISECONDS,
  'jwks.staleIfError': MILLISECONDS,
  'jwks.requestsPerMinute': {
    good: [0.1, 1, 6000], bad: [...TOO_SMALL, 0, -0], expects: 'a number of requests a minute, more than 0'
  },
  'jwks.timeout': {
    good: [1, 2 ** 31 - 1],
    bad: [...TOO_SMALL, 0, 0.5, 1.5, 2 ** 31],
    expects: 'a whole number of milliseconds, 1 or more'
  },
  'tokenCache.max': {
    good: [1, 10_000_000], bad: [...TOO_SMALL, 0, 0.5, 10_000_001], expects: 'a whole number of tokens, 1 or more'
  }
}

for (const [name, { good, bad, expects }] of Object.entries(NUMBERS)) {
  t.test(name, async t => {
    const path = name.split('.')
    const options = (value: unknown) => path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)
    for (const value of good) {
      t.equal(
        path.reduce<unknown>((outer, key) => (outer as Record<string, unknown>)[key], resolve(options(value))), value,
        String(value)
      )
    }
    for (const value of [...NEVER_RIGHT, ...bad, false, '', '5000', '5s', {}, [], [5000], new Date()]) {
      t.match(messageOf(options(value)), `Option "${name}" must be ${expects}, got `, String(value))
    }
    t.equal(messageOf(options('5 s')), `Option "${name}" must be ${expects}, got '5 s'`, 'the message says what it got')
  })
}

t.test('jwks and tokenCache are objects', async t => {
  for (const value of [...NEVER_RIGHT, 0, '', 'x', []]) {
    const type = value === null ? 'null' : typeof value
    t.equal(messageOf({ jwks: value }), `Option "jwks" must be an object, got a value of type ${type}`, type)
    t.match(messageOf({ tokenCache: value }), 'Option "tokenCache" must be an object or false, got ', typeof value)
  }
  t.equal(messageOf({ jwks: false }), 'Option "jwks" must be an object, got a value of type boolean')
  t.equal(resolve({ tokenCache: false }).tokenCache, false)
})

t.test('jwks.headers is read once, and its values are in no message', async t => {
  const headers = { 'X-Gate': 'open' }
  const { jwks } = resolve({ jwks: { headers, maxAge: 1 } })
  t.match(jwks, { headers: { 'x-gate': 'open' }, maxAge: 1 })
  headers['X-Gate'] = 'changed'
  t.equal(jwks.headers['x-gate'], 'open')
  for (const jwks of [
    'hunter2', ['hunter2'], { headers: 'hunter2' }, { headers: ['hunter2'] }, { headers: { 'x-gate': ['hunter2'] } },
    { header: { 'x-gate': 'hunter2' } }, { headers: { 'x-gate': 'hunter2\n' } }
  ]) {
    const message = messageOf({ jwks })
    t.match(message, /^(?:Option|Unknown option) "jwks/)
    t.notMatch(message, 'hunter2')
  }
})

t.test('options that do not exist', async t => {
  const known = new RegExp(`\\. Known options: ${[
    'authUrl', 'auth', 'mount', 'publicUrl', 'jwksPath', 'issuer', 'audience', 'algorithms', 'secret',
    'clockTolerance', 'jwks',
    'tokenCache', 'userSchema', 'userId', 'sessionCookie', 'exchange', 'resource', 'dpop', 'roles', 'rolesFrom',
    'organizationFrom', 'extractToken', 'isRevoked', 'callbackTimeout', 'openapi', 'unprotected'
  ].join(', ')}(?:\\. Did you mean "[\\w.]+"\\?)?$`)
  for (const name of [
    'authURL', 'AuthUrl', 'authurl', 'url', 'jwksUri', 'issuers', 'maxAge', 'timeout', '', ' ', 'constructor',
    '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'prototype'
  ]) {
    for (const value of ['hunter2', null, false, {}]) {
      const message = messageOf(JSON.parse(`{ "${name}": ${JSON.stringify(value)} }`))
      t.ok(message.startsWith(`Unknown option "${name}". `), name)
      t.match(message, known)
      t.notMatch(message, 'hunter2')
    }
  }
  for (const name of [
    'maxage', 'max_age', 'url', 'authUrl', 'prefix', 'logLevel', 'constructor', '__proto__', 'toString'
  ]) {
    const [jwks, tokenCache] = ['jwks', 'tokenCache'].map(option => {
      return messageOf({ [option]: JSON.parse(`{ "${name}": 1 }`) }).replace(/\. Did you mean "[\w.]+"\?$/, '')
    })
    t.equal(jwks, `Unknown option "jwks.${name}". ` +
      'Known options: jwks.maxAge, jwks.staleWhileRevalidate, jwks.staleIfError, ' +
      'jwks.requestsPerMinute, jwks.timeout, jwks.headers')
    t.equal(tokenCache, `Unknown option "tokenCache.${name}". Known options: tokenCache.max, tokenCache.maxBytes`)
  }
})

t.test('what Fastify itself reads from the options of a plugin is let through', async t => {
  t.equal(messageOf({ prefix: '/api', logLevel: 'warn', logSerializers: {} }), 'accepted')
  t.strictSame(resolve({ prefix: '/api', logLevel: 'warn', logSerializers: {} }), resolve({}), 'and is not ours')
})

t.test('what is resolved does not change with the caller\'s objects', async t => {
  const options = {
    issuer: ['a'],
    audience: ['b'],
    algorithms: ['EdDSA'],
    jwks: { maxAge: 1, staleIfError: 2 },
    tokenCache: { max: 3 },
    clockTolerance: 4
  }
  const resolved = resolve(options)
  const before = structuredClone(resolved)
  options.issuer.push('evil')
  options.audience[0] = 'evil'
  options.algorithms.push('HS256')
  options.jwks.maxAge = 99
  options.tokenCache.max = 99
  options.clockTolerance = 99
  t.strictSame(resolved, before)
})

t.test('and the caller\'s objects do not change with what is resolved', async t => {
  const [issuer, algorithms, jwks, tokenCache] = [['a'], ['EdDSA'], {}, {}].map(value => Object.freeze(value))
  const options = Object.freeze({ issuer, algorithms, jwks, tokenCache })
  t.doesNotThrow(() => resolve(options))
  t.not(resolve({}).algorithms, resolve({}).algorithms, 'two registrations share nothing')
  t.not(resolve({}).algorithms, ALGORITHMS)
})

t.test('a bad option fails the boot', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => { await app.register(betterAuthPlugin, { authUrl: 'id.example.com' }) }, {
    code: 'FST_BETTER_AUTH_INVALID_OPTION',
    message: 'Option "authUrl" must be an absolute http(s) URL without credentials, query or fragment, ' +
      'got \'id.example.com\''
  })
})

t.test('options may be instances of classes, at every level', async t => {
  class Jwks { get maxAge () { return 5 } }
  class TokenCache { get max () { return 6 } }
  class SessionCookie { get trustedOrigins () { return ['https://app.example.com'] } }
  class Options {
    readonly #revoked = new Set(['t_1'])
    get jwks () { return new Jwks() }
    get tokenCache () { return new TokenCache() }
    get sessionCookie () { return new SessionCookie() }
    isRevoked (claims: { jti?: string }) { return this.#revoked.has(claims.jti!) }
    extractToken (request: { token: string }) { return `${this.#revoked.size} ${request.token}` }
  }
  const { jwks, tokenCache, sessionCookie, isRevoked, extractToken } = resolve(new Options())
  t.match(jwks, { maxAge: 5 })
  t.match(tokenCache, { max: 6 })
  t.match(sessionCookie, { trustedOrigins: ['https://app.example.com'] })
  t.equal(isRevoked!({ jti: 't_1', exp: 1 }, {} as never), true)
  t.equal(extractToken!({ token: 'x' } as never), '1 x')

  t.equal(
    messageOf(new class { get authUrl () { return 'ftp://x' } }()),
    'Option "authUrl" must be an absolute http(s) URL without credentials, query or fragment, got \'ftp://x\''
  )
  t.match(messageOf(new class { isRevokd () {} }()), 'Unknown option "isRevokd". ')
  t.match(messageOf({ jwks: new class { get maxage () { return 1 } }() }), 'Unknown option "jwks.maxage". ')
  t.equal(messageOf({ jwks: new Map([['maxAge', 1]]) }), 'Option "jwks" must be an object, got a Map')
  t.equal(messageOf({ tokenCache: new Map() }), 'Option "tokenCache" must be an object, got a Map')
  t.equal(messageOf({ sessionCookie: new Set(['x']) }), 'Option "sessionCookie" must be an object, got a Set')
})

t.test('sessionCookie', async t => {
  const names = (name: string) => [`__Host-${name}`, `__Secure-${name}`, name]
  t.strictSame(resolve({ sessionCookie: true }).sessionCookie, {
    names: names('better-auth.session_data'), secret: undefined, version: undefined, trustedOrigins: []
  })
  t.strictSame(resolve({ sessionCookie: {} }).sessionCookie, {
    names: names('better-auth.session_data'), secret: undefined, version: undefined, trustedOrigins: []
  })
  t.strictSame(resolve({ sessionCookie: { prefix: 'shop' } }).sessionCookie, {
    names: names('shop.session_data'), secret: undefined, version: undefined, trustedOrigins: []
  })
  t.strictSame(
    resolve({
      sessionCookie: { prefix: 'shop', name: 'sid', trustedOrigins: ['https://app.example.com'] }
    }).sessionCookie,
    { names: names('sid'), secret: undefined, version: undefined, trustedOrigins: ['https://app.example.com'] }
  )
  const https = (sessionCookie: unknown) => resolve({ authUrl: ORIGIN, sessionCookie }).sessionCookie
  t.strictSame(https({ prefix: 'shop' }), {
    names: names('shop.session_data').slice(0, 2), secret: undefined, version: undefined, trustedOrigins: []
  }, 'on https not the plain name')
  const sameOrigin = { trustedOrigins: ['HTTPS://App.Example.com:443'] }
  t.match(resolve({ sessionCookie: sameOrigin }).sessionCookie, { trustedOrigins: ['https://app.example.com'] })
  t.match(messageOf({ sessionCookie: { trustedOrigins: ['null'] } }), "trustedOrigins\" contains 'null', which is")
  const rest = { secret: undefined, version: undefined, trustedOrigins: [] }
  t.strictSame(https(true), { names: names('better-auth.session_data').slice(0, 2), ...rest })
  t.strictSame(https({ name: 'sid' }), { names: names('sid').slice(0, 2), ...rest })
  for (const secure of ['true', 1, null]) {
    t.match(messageOf({ sessionCookie: { secure } }), 'Option "sessionCookie.secure" must be true or false, got')
  }
  const version = async () => '2'
  for (const given of ['2', ' ', version]) {
    t.match(resolve({ sessionCookie: { version: given } }).sessionCookie, {
      version: given === version ? Function : given
    })
  }
  for (const version of ['', 2, null, ['2'], true]) {
    t.match(
      messageOf({ sessionCookie: { version } }),
      'Option "sessionCookie.version" must be a non-empty string, or a function, got'
    )
  }
  for (const sessionCookie of ['yes', 1, null]) {
    t.match(messageOf({ sessionCookie }), 'Option "sessionCookie" must be an object, true or false')
  }
  for (const prefix of ['', 7, 'a b', 'a;b', 'a=b', 'a\n']) {
    t.match(messageOf({ sessionCookie: { prefix } }), 'Option "sessionCookie.prefix" must be the name of a cookie')
  }
  t.match(messageOf({ sessionCookie: { trustedOrigin: [] } }), 'Unknown option "sessionCookie.trustedOrigin"')
})

t.test('the name without a prefix is read where browsers reach the auth server over http', async t => {
  const HTTP = 'http://auth.internal:3000'
  const PUBLIC = 'https://id.example.com'
  const isPlainRead = (options: object, secure?: boolean) => {
    const { sessionCookie } = resolve({ ...options, sessionCookie: { name: 'sid', secure } })
    const names = sessionCookie === false ? [] : sessionCookie.names
    t.strictSame(names.slice(0, 2), ['__Host-sid', '__Secure-sid'])
    return names.includes('sid')
  }
  for (const [options, expected] of [
    [{ authUrl: HTTP }, true],
    [{ authUrl: PUBLIC }, false],
    [{ authUrl: HTTP, publicUrl: PUBLIC }, false],
    [{ authUrl: PUBLIC, publicUrl: 'http://localhost:3000' }, true],
    [{ authUrl: HTTP, issuer: PUBLIC }, false],
    [{ authUrl: HTTP, issuer: 'HTTPS://id.example.com' }, false],
    [{ authUrl: PUBLIC, issuer: 'http://localhost:3000' }, true],
    [{ authUrl: HTTP, issuer: [HTTP, PUBLIC] }, false],
    [{ authUrl: HTTP, issuer: 'urn:example:issuer' }, true],
    [{ authUrl: PUBLIC, issuer: 'urn:example:issuer' }, false],
    [{ authUrl: PUBLIC, issuer: false }, false],
    [{ authUrl: HTTP, issuer: false }, true],
    [{ authUrl: HTTP, issuer: PUBLIC, publicUrl: 'http://localhost:3000' }, true],
    [{ authUrl: HTTP, issuer: 'http://localhost:3000', publicUrl: PUBLIC }, false]
  ] as Array<[object, boolean]>) {
    t.equal(isPlainRead(options), expected, JSON.stringify(options))
    t.equal(isPlainRead(options, true), false, 'never, if it has to be secure')
    t.equal(isPlainRead(options, false), true, 'always, if it need not be secure')
  }
})

t.test('a name as the browser shows it is the only one', async t => {
  for (const name of ['__Secure-better-auth.session_data', '__Host-sid', '__Host-__Secure-sid']) {
    for (const secure of [undefined, true, false]) {
      t.strictSame(resolve({ sessionCookie: { name, secure } }).sessionCookie, {
        names: [name], secret: undefined, version: undefined, trustedOrigins: []
      })
    }
  }
})

t.test('exchange has the prefix and the security of the other cookie, and the base path of authUrl', async t => {
  const namesOf = (options: object) => {
    const { sessionCookie } = resolve({ exchange: true, ...options }).exchange!
    return sessionCookie === false ? [] : sessionCookie.names
  }
  const prefixed = (name: string) => [`__Host-${name}`, `__Secure-${name}`]
  const name = 'better-auth.session_token'
  t.equal(resolve({ exchange: false }).exchange, undefined)
  t.strictSame(namesOf({}), [...prefixed(name), name])
  t.strictSame(namesOf({ authUrl: ORIGIN }), prefixed(name))
  t.strictSame(namesOf({ authUrl: ORIGIN, publicUrl: 'http://localhost:3000' }), [...prefixed(name), name])
  t.strictSame(namesOf({ sessionCookie: { prefix: 'shop' } }), [
    ...prefixed('shop.session_token'), 'shop.session_token'
  ])
  t.strictSame(namesOf({ sessionCookie: { secure: true, name: 'sid' } }), prefixed(name))
  t.strictSame(namesOf({ authUrl: ORIGIN, sessionCookie: { secure: false } }), [...prefixed(name), name])
  for (const [authUrl, url] of [
    [ORIGIN, `${ORIGIN}/api/auth/token?disableRefresh=true`], [`${ORIGIN}/x/`, `${ORIGIN}/x/token?disableRefresh=true`]
  ]) t.equal(resolve({ authUrl, publicUrl: 'https://other.example', exchange: true }).exchange!.url, url)
  for (const exchange of ['yes', 1, null, () => {}]) {
    t.match(messageOf({ exchange }), 'Option "exchange" must be an object, true or false, got')
  }
})

t.test('publicUrl', async t => {
  const authUrl = 'http://auth.internal:3000/auth'
  for (const publicUrl of [ORIGIN, `${ORIGIN}/`, 'HTTPS://ID.example.com:443/api/auth']) {
    t.match(resolve({ authUrl, publicUrl }), {
      authUrl, publicUrl: ORIGIN, issuer: [ORIGIN], audience: [ORIGIN]
    }, publicUrl)
  }
  t.match(resolve({ authUrl, publicUrl: ORIGIN, issuer: 'a', audience: 'b' }), { issuer: ['a'], audience: ['b'] })
  t.equal(resolve({ authUrl }).publicUrl, 'http://auth.internal:3000')
  t.equal(resolve({ publicUrl: ORIGIN }, { BETTER_AUTH_URL: authUrl }).authUrl, authUrl)
  const expected = 'Option "publicUrl" must be an absolute http(s) URL without credentials, query or fragment, got'
  for (const publicUrl of ['id.example.com', 'ftp://id.example.com', '', `${ORIGIN}?x`, 'https://a:b@c.d']) {
    const message = messageOf({ publicUrl })
    t.match(message, expected)
    t.notMatch(message, 'a:b')
  }
  t.equal(messageOf({ publicUrl: 7 }), `${expected} a value of type number`)
})

t.test('openapi is true or false', async t => {
  for (const value of [true, false]) t.equal(resolve({ openapi: value }).openapi, value)
  for (const value of ['yes', 1, null]) {
    t.match(messageOf({ openapi: value }), /^Option "openapi" must be true or false, got/)
  }
})

t.test('userId', async t => {
  const cookie = { sessionCookie: true }
  t.equal(resolve({}).userId, 'either')
  t.equal(resolve({ userId: 'sub' }).userId, 'sub')
  t.equal(resolve({ userId: 'id' }).userId, 'id')
  t.equal(resolve({ userId: 'id', ...cookie }).userId, 'id')
  t.equal(resolve(cookie).userId, 'equal', 'a session cookie has the id only')
  t.equal(
    messageOf({ userId: 'sub', sessionCookie: {} }),
    'Option "userId" must be "id" or unset with "sessionCookie", got \'sub\': a session cookie has the id of the ' +
      'user only'
  )
  for (const userId of [...NEVER_RIGHT, '', 'email', 'equal', 'either', false, 0, ['id'], {}]) {
    t.match(messageOf({ userId }), 'Option "userId" must be "sub" or "id", got ', typeof userId)
  }
})

t.test('userSchema', async t => {
  const user = { id: 'u_1', email: null, name: null, emailVerified: false, image: null }
  t.ok(Value.Check(UserSchema, user) && Value.Check(UserSchema, { ...user, email: 'ada@example.com' }))
  t.notOk(Value.Check(UserSchema, { ...user, id: '' }) || Value.Check(UserSchema, { ...user, role: 'admin' }))
  const { email, ...rest } = UserSchema.properties
  const userSchema = Type.Object({ ...UserSchema.properties, plan: Type.String() })
  t.equal(resolve({ userSchema }).userSchema, userSchema)
  t.equal(messageOf({ userSchema: Type.Object(rest) }),
    'Option "userSchema" must have all properties of UserSchema, and lacks "email"')
  t.match(messageOf({ userSchema: Type.Object({ ...rest, constructor: email }) }), 'lacks "email"')
  const others = [{}, Type.String(), Type.Array(UserSchema), Type.Union([UserSchema, Type.Null()])]
  for (const userSchema of [...NEVER_RIGHT, ...others]) {
    t.match(messageOf({ userSchema }), 'Option "userSchema" must be a TypeBox object', typeof userSchema)
  }
})

t.test('callbackTimeout', async t => {
  t.equal(resolve({}).callbackTimeout, 5000)
  for (const ms of [1, 250, 2 ** 31 - 1]) t.equal(resolve({ callbackTimeout: ms }).callbackTimeout, ms)
  for (const callbackTimeout of [...NEVER_RIGHT, 0, -1, 0.5, 2 ** 31, '5000', false, {}]) {
    t.match(
      messageOf({ callbackTimeout }),
      'Option "callbackTimeout" must be a whole number of milliseconds, 1 or more, got ', typeof callbackTimeout
    )
  }
})

t.test('callbacks are functions', async t => {
  for (const name of ['rolesFrom', 'organizationFrom', 'extractToken', 'isRevoked']) {
    t.equal(resolve({ [name]: Boolean })[name as 'isRevoked']!({ exp: 1 }, {} as never), true)
    t.equal(messageOf({ [name]: 'Boolean' }), `Option "${name}" must be a function, got 'Boolean'`)
  }
})

t.test('in production there is no default for authUrl', async t => {
  const NODE_ENV = 'production'
  t.throws(() => resolveOptions({}, { NODE_ENV }), {
    code: 'FST_BETTER_AUTH_INVALID_OPTION',
    message: 'Option "authUrl" is missing, and BETTER_AUTH_URL is not set: with NODE_ENV=production there is no default'
  })
  t.throws(() => resolveOptions({ authUrl: undefined }, { NODE_ENV }), {
    message: 'Option "authUrl" is given, but undefined, and BETTER_AUTH_URL is not set: with NODE_ENV=production ' +
      'there is no default'
  }, 'a misspelt variable')
  t.equal(resolveOptions({}, { NODE_ENV, BETTER_AUTH_URL: 'https://id.example.com' }).authUrl, 'https://id.example.com')
  t.equal(resolveOptions({ authUrl: 'https://id.example.com' }, { NODE_ENV }).authUrl, 'https://id.example.com')
  for (const other of [undefined, 'development', 'test', 'Production']) {
    t.equal(resolveOptions({}, { NODE_ENV: other }).authUrl, 'http://localhost:3000', String(other))
  }
})

t.test('authUrl as the URL of the JWKS', async t => {
  for (const [authUrl, base, path] of [
    ['https://id.example.com/api/auth/jwks', 'https://id.example.com/api/auth', '/jwks'],
    ['https://id.example.com/api/auth/jwks/', 'https://id.example.com/api/auth', '/jwks'],
    ['https://id.example.com/.well-known/jwks.json', 'https://id.example.com', '/.well-known/jwks.json'],
    ['https://id.example.com/jwks.json', 'https://id.example.com', '/jwks.json'],
    ['https://id.example.com/.well-known/openid-configuration', 'https://id.example.com',
      '/.well-known/openid-configuration']
  ] as const) {
    t.throws(() => resolveOptions({ authUrl }, {}), {
      message: 'Option "authUrl" must be the URL of the auth server, not of its JWKS: set it to ' +
        `"${base}", and if the keys are not found "jwksPath" to "${path}"`
    }, authUrl)
  }
  t.throws(() => resolveOptions({}, { BETTER_AUTH_URL: 'https://id.example.com/api/auth/jwks' }), {
    message: /^Option "authUrl" \(from the environment variable BETTER_AUTH_URL\) must be the URL of the auth server/
  })
  t.equal(resolveOptions({ authUrl: 'https://jwks.example.com/jwks-server' }, {}).authUrl,
    'https://jwks.example.com/jwks-server')
})

t.test('dpop', async t => {
  const resource = 'https://api.example.com/v1'
  const origins = ['https://api.example.com']
  const defaults = { required: false, maxProofAge: 300_000, replayStore: undefined, origins }
  t.equal(resolve({ resource, dpop: false }).dpop, undefined)
  for (const dpop of [true, {}, { required: undefined, maxProofAge: undefined, replayStore: undefined }]) {
    t.strictSame(resolve({ resource, dpop }).dpop, defaults)
  }
  const replayStore = { reserve: () => true, secret: 'hunter2' }
  t.equal(resolve({ resource, dpop: { replayStore } }).dpop!.replayStore, replayStore, 'not a copy: it has a state')
  t.strictSame(
    resolve({ resource, dpop: { required: true, maxProofAge: 6e4, origins: ['https://api.example.org:8443'] } }).dpop,
    { ...defaults, required: true, maxProofAge: 6e4, origins: [...origins, 'https://api.example.org:8443'] }
  )

  for (const dpop of [true, {}, { required: true }]) {
    t.match(messageOf({ dpop }), /^Option "dpop" needs the option "resource": only access tokens of OAuth clients/)
  }
  const rows: Record<string, unknown[]> = {
    '': ['hunter2', 1, null, () => {}],
    required: ['yes', 0, null],
    maxProofAge: [0, 999, 3_600_001, '60000', NaN, Infinity, null],
    replayStore: [{ secret: 'hunter2' }, { reserve: true, secret: 'hunter2' }, 'hunter2', null, () => {}],
    origins: [
      'https://api.example.org', ['https://api.example.org/'], ['https://api.example.org/v1'],
      ['https://API.example.org'], ['https://api.example.org:443'], ['api.example.org'], ['ftp://api.example.org'],
      ['https://a:b@api.example.org'],
      ['https://'], ['*'], [''], [1]
    ]
  }
  for (const [name, values] of Object.entries(rows)) {
    for (const value of values) {
      const message = messageOf({ resource, dpop: name === '' ? value : { [name]: value } })
      const expected = name === '' ? 'Option "dpop" must be an object, true or false' : `Option "dpop.${name}" must be`
      t.ok(message.startsWith(expected), message)
      t.notMatch(message, 'hunter2')
    }
  }
  t.match(messageOf({ resource, dpop: { store: 1 } }), /^Unknown option "dpop.store"/)
})
