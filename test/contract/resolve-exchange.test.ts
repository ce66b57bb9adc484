import t from 'tap'
import { resolveExchange, type ExchangeContext } from '../../lib/contract/resolve-exchange.js'
import { InvalidOptionError } from '../../lib/index.js'

const CONTEXT: ExchangeContext = {
  authUrl: 'https://id.example.com', prefix: 'better-auth', isSecure: true, headers: {}
}

/** The option as a caller without types may give it. */
const resolve = (given: unknown, context: Partial<ExchangeContext> = {}) =>
  resolveExchange(given as boolean, { ...CONTEXT, ...context })

function messageOf (given: unknown): string {
  try {
    resolve(given)
  } catch (error) {
    if (error instanceof InvalidOptionError) return error.message
    throw error
  }
  return 'accepted'
}

const namesOf = (name: string) => [`__Host-${name}`, `__Secure-${name}`]

t.test('false exchanges nothing', async t => {
  t.equal(resolve(false), undefined)
})

t.test('true exchanges everything, with the defaults', async t => {
  const defaults = {
    url: 'https://id.example.com/api/auth/token?disableRefresh=true',
    sessionToken: true,
    sessionCookie: { names: namesOf('better-auth.session_token') },
    apiKey: { header: 'x-api-key', maxAge: 900_000 },
    maxAge: 60_000,
    staleIfError: 900_000,
    timeout: 5000,
    requestsPerMinute: 60,
    max: 10_000,
    forwardedFor: false,
    shared: undefined,
    root: { jwksUrl: 'https://id.example.com/jwks', url: 'https://id.example.com/token?disableRefresh=true' }
  }
  t.strictSame(resolve(true), defaults)
  t.strictSame(resolve({}), defaults)
  t.strictSame(resolve({ sessionToken: true, sessionCookie: true, apiKey: true }), defaults)
  t.strictSame(resolve({ sessionCookie: {}, apiKey: {} }), defaults)
  const { url: _, root: _root, ...names } = defaults
  const unset = Object.fromEntries(Object.keys(names).map(name => [name, undefined]))
  t.strictSame(resolve(unset), defaults, 'undefined means unset')
})

t.test('each option is as given', async t => {
  const numbers = { maxAge: 1, staleIfError: 2, timeout: 3, requestsPerMinute: 4, max: 5 }
  t.match(resolve({ ...numbers, forwardedFor: true }), { ...numbers, forwardedFor: true })
  t.equal(resolve({ sessionToken: false })!.sessionToken, false)
  t.equal(resolve({ sessionCookie: false })!.sessionCookie, false)
  t.equal(resolve({ apiKey: false })!.apiKey, false)
  t.strictSame(resolve({ apiKey: { header: 'X-Shop-Key', maxAge: 5 } })!.apiKey, { header: 'x-shop-key', maxAge: 5 })
  t.strictSame(resolve({ sessionCookie: { name: 'sid' } })!.sessionCookie, { names: namesOf('sid') })
})

t.test('the names of the cookie follow from the prefix, and from whether they are secure', async t => {
  const cookieOf = (given: unknown, context: Partial<ExchangeContext>) => resolve(given, context)!.sessionCookie
  const plain = { isSecure: false }
  t.strictSame(cookieOf(true, { prefix: 'shop' }), { names: namesOf('shop.session_token') })
  t.strictSame(cookieOf(true, { prefix: 'shop', ...plain }), {
    names: [...namesOf('shop.session_token'), 'shop.session_token']
  })
  t.strictSame(cookieOf({ sessionCookie: { name: 'sid' } }, { prefix: 'shop', ...plain }), {
    names: [...namesOf('sid'), 'sid']
  }, 'a full name has no prefix')
  for (const name of ['__Secure-sid', '__Host-sid']) {
    t.strictSame(cookieOf({ sessionCookie: { name } }, plain), { names: [name] }, 'a name as the browser shows it')
  }
})

t.test('the URL is that of /token below the auth server', async t => {
  for (const [authUrl, base] of [
    ['https://id.example.com', 'https://id.example.com/api/auth'],
    ['http://localhost:3000', 'http://localhost:3000/api/auth'],
    ['https://id.example.com/api/auth', 'https://id.example.com/api/auth'],
    ['https://id.example.com/tenants/@acme/auth', 'https://id.example.com/tenants/@acme/auth']
  ] as const) t.equal(resolve(true, { authUrl })!.url, `${base}/token?disableRefresh=true`, authUrl)
})

t.test('a wrong value is refused, with what it must be and what it got', async t => {
  const flags = ['sessionToken', 'forwardedFor']
  const rows: Array<[name: string, expects: string, wrong: unknown[]]> = [
    ...flags.map((name): [string, string, unknown[]] => [name, 'true or false', ['true', 1, 0, null, {}, () => {}]]),
    ['sessionCookie', 'an object, true or false', ['true', 'sid', 1, null]],
    ['apiKey', 'an object, true or false', ['true', 'x-api-key', 1, null]],
    ['maxAge', 'a number of milliseconds, 0 or more', [-1, NaN, Infinity, '1', null, true]],
    ['staleIfError', 'a number of milliseconds, 0 or more', [-1, NaN, Infinity, '1', null, true]],
    ['timeout', 'a whole number of milliseconds', [0, -1, 0.5, NaN, 2 ** 31, '1', null, true]],
    ['requestsPerMinute', 'a number of requests a minute, more than 0', [0, -1, NaN, '1', null, true]],
    ['max', 'a whole number of sessions, 1 or more', [0, -1, 0.5, NaN, 1e9, '1', null, true]],
    ['apiKey.maxAge', 'a number of milliseconds, 0 or more', [-1, NaN, Infinity, '1', null, true]],
    ['apiKey.header', 'the name of a header', ['', ' ', 'x api', 'x:y', 'x\r\n', 'é', 7, null, ['x']]],
    ['sessionCookie.name', 'the name of a cookie', ['', 'a b', 'a;b', 'a=b', 'a\n', 7, null, ['x']]]
  ]
  for (const [name, expects, wrong] of rows) {
    const [outer, inner] = name.split('.') as [string, string?]
    for (const value of wrong) {
      const message = messageOf({ [outer]: inner === undefined ? value : { [inner]: value } })
      t.match(message, `Option "exchange.${name}" must be ${expects}`, name)
      t.match(message, ', got ')
    }
  }
  t.match(messageOf({ maxAge: -7 }), 'got -7')
})

t.test('a misspelt name is refused, at each level', async t => {
  for (const [given, name] of [
    [{ maxage: 1 }, 'maxage'], [{ sessiontoken: true }, 'sessiontoken'], [{ sessionCookies: true }, 'sessionCookies'],
    [{ apikey: true }, 'apikey'], [{ staleIfErrors: 1 }, 'staleIfErrors'], [{ timeOut: 1 }, 'timeOut'],
    [{ requestPerMinute: 1 }, 'requestPerMinute'], [{ maximum: 1 }, 'maximum'], [{ forwardFor: true }, 'forwardFor'],
    [{ url: 'https://evil.example' }, 'url'],
    [{ apiKey: { headers: 'x' } }, 'apiKey.headers'], [{ apiKey: { maxage: 1 } }, 'apiKey.maxage'],
    [{ sessionCookie: { names: [] } }, 'sessionCookie.names'],
    [{ sessionCookie: { prefix: 'x' } }, 'sessionCookie.prefix']
  ] as const) t.match(messageOf(given), `Unknown option "exchange.${name}"`, name)
})

t.test('what exchanges nothing is refused', async t => {
  t.equal(
    messageOf({ sessionToken: false, sessionCookie: false, apiKey: false }),
    'Option "exchange" turns off "sessionToken", "sessionCookie" and "apiKey", so that nothing is left: set it to false'
  )
  for (const kept of ['sessionToken', 'sessionCookie', 'apiKey']) {
    const given = { sessionToken: false, sessionCookie: false, apiKey: false, [kept]: true }
    t.equal(messageOf(given), 'accepted', `${kept} alone`)
  }
})

t.test('an API key needs a header of its own', async t => {
  for (const header of [
    'authorization', 'Authorization', 'COOKIE', 'host', 'Content-Length', 'connection', 'X-Forwarded-For', '__proto__',
    'constructor', 'Set-Cookie', 'Origin', 'te', 'upgrade', 'accept'
  ]) {
    t.equal(
      messageOf({ apiKey: { header } }),
      `Option "exchange.apiKey.header" must be a header of its own, got '${header.toLowerCase()}'`
    )
  }
})

t.test('no fixed header may be a credential: the auth server would vouch for the API itself', async t => {
  const messageWith = (name: string, given: unknown = true) => {
    try {
      resolve(given, { headers: { [name]: 'secret' } })
    } catch (error) {
      return (error as Error).message
    }
  }
  for (const name of ['authorization', 'cookie', 'x-api-key', 'x-forwarded-for']) {
    t.match(messageWith(name), `Option "jwks.headers" must not have "${name}" with the option "exchange"`)
    t.notMatch(messageWith(name), 'secret')
  }
  t.match(messageWith('x-key', { apiKey: { header: 'X-Key' } }), '"x-key"')
  t.match(messageWith('x-api-key', { apiKey: false }), '"x-api-key"')
  t.equal(messageWith('x-gate'), undefined)
  t.equal(messageWith('authorization', false), undefined, 'without the exchange it may')
})
