import t from 'tap'
import { resolveResource } from '../../lib/contract/resolve-resource.js'
import { InvalidOptionError } from '../../lib/index.js'

const ISSUER = 'https://id.example.com/api/auth'
const RESOURCE = 'https://api.example.com/v1'

/** The option as a caller without types may give it. */
const resolve = (given: unknown) => resolveResource(given as string, ISSUER)

function messageOf (given: unknown): string {
  try {
    resolve(given)
  } catch (error) {
    if (error instanceof InvalidOptionError) return error.message
    throw error
  }
  return 'accepted'
}

t.test('unset, there is no resource', async t => {
  t.equal(resolve(undefined), undefined)
})

t.test('a URL is all that it needs', async t => {
  const defaults = {
    url: RESOURCE,
    audiences: [RESOURCE],
    issuer: ISSUER,
    scopes: [],
    scopeIncludes: new Map(),
    name: undefined,
    documentation: undefined,
    authorizationServers: [ISSUER]
  }
  t.strictSame(resolve(RESOURCE), defaults)
  t.strictSame(resolve({ url: RESOURCE }), defaults)
})

t.test('the rest is as given, without the scopes that are no resource\'s', async t => {
  const issuer = 'https://issuer.example.com'
  const given = {
    url: RESOURCE,
    issuer,
    scopes: ['openid', 'orders:read', 'offline_access', 'orders:read', 'orders:write'],
    name: 'Orders',
    documentation: 'https://docs.example.com/orders?lang=en#top',
    authorizationServers: ['https://a.example.com/', 'https://b.example.com/auth']
  }
  t.strictSame(resolve(given), {
    ...given, audiences: [RESOURCE], scopes: ['orders:read', 'orders:write'], scopeIncludes: new Map()
  })
  t.strictSame(resolve({ url: RESOURCE, issuer })!.authorizationServers, [issuer])
})

t.test('its lists cannot be changed, and are copies', async t => {
  const authorizationServers = [ISSUER]
  const resource = resolve({ url: RESOURCE, authorizationServers, scopeIncludes: { a: ['b'] } })!
  authorizationServers.push('https://evil.example.com')
  t.strictSame(resource.authorizationServers, [ISSUER])
  for (const list of [
    resource.audiences, resource.scopes, resource.authorizationServers, resource.scopeIncludes.get('a')
  ]) t.ok(Object.isFrozen(list))
})

t.test('an audience is the URL as given, or as a URL parser writes it', async t => {
  for (const [url, audiences] of [
    ['https://api.example.com', ['https://api.example.com', 'https://api.example.com/']],
    ['https://api.example.com/', ['https://api.example.com/']],
    ['HTTPS://API.example.com:443/V1', ['HTTPS://API.example.com:443/V1', 'https://api.example.com/V1']],
    ['http://127.0.0.1:3000/mcp', ['http://127.0.0.1:3000/mcp']],
    ['https://api.example.com/a/../b', ['https://api.example.com/a/../b', 'https://api.example.com/b']]
  ] as const) {
    t.match(resolve(url), { url, audiences }, url)
    t.equal(resolve(url)!.audiences.length, audiences.length)
  }
})

t.test('anything but an http(s) URL without credentials, query or fragment is refused', async t => {
  const expects = 'must be an absolute http(s) URL without credentials, a query or a fragment, got '
  for (const url of [
    '', 'api.example.com', '/orders', 'https:api.example.com', 'https:/api.example.com', 'https://', 'https:///orders',
    'urn:orders', 'ws://api.example.com', 'file:///orders', ' https://api.example.com', 'https://api.example.com ',
    'https://api.example.com/a b', 'https://api.example.com?', 'https://api.example.com/?a=1',
    'https://api.example.com#', 'https://api.example.com/#top', 'https://api.example.com\\v1',
    'https://api.example.com:x', 'https://[::1', 'https://api.example.com\n', 'https://ada@api.example.com',
    'https://ada:secret@api.example.com'
  ]) {
    t.ok(messageOf(url).startsWith(`Option "resource" ${expects}`), JSON.stringify(url))
    t.ok(messageOf({ url }).startsWith(`Option "resource.url" ${expects}`), `{ url: ${JSON.stringify(url)} }`)
    t.ok(messageOf({ url: RESOURCE, authorizationServers: [ISSUER, url] }) !== 'accepted', 'authorization server')
  }
  t.equal(messageOf({}), `Option "resource.url" ${expects}a value of type undefined`)
  for (const url of [5, null, [RESOURCE]]) {
    t.match(messageOf({ url }), /^Option "resource\.url" must be an absolute http\(s\) URL/)
  }
})

t.test('a password in it is not shown', async t => {
  const url = 'https://ada:hunter2@api.example.com'
  for (const given of [url, { url }, { url: RESOURCE, authorizationServers: [url] }]) {
    t.match(messageOf(given), /got 'https:\/\/\*\*\*@api\.example\.com'$/, JSON.stringify(given))
  }
})

t.test('an unknown or invalid option is named', async t => {
  for (const [options, message] of [
    [{ uri: RESOURCE }, 'Unknown option "resource.uri". Known options: '],
    [{ issuer: '' }, 'Option "resource.issuer" must be a non-empty string, got \'\''],
    [{ name: '' }, 'Option "resource.name" must be a non-empty string, got \'\''],
    [{ scopes: 'orders:read' }, 'Option "resource.scopes" must be an array of scopes (RFC 6749 §3.3), got '],
    [{ scopes: ['orders read'] }, 'Option "resource.scopes" must be an array of scopes'],
    [{ scopes: ['"'] }, 'Option "resource.scopes" must be an array of scopes'],
    [{ documentation: 'docs.example.com' }, 'Option "resource.documentation" must be an http(s) URL, got '],
    [{ authorizationServers: [] }, 'Option "resource.authorizationServers" must be a non-empty array of issuer '],
    [{ authorizationServers: ['auth'] }, 'Option "resource.authorizationServers" must be an absolute http(s) URL']
  ] as Array<[object, string]>) {
    const got = messageOf({ url: RESOURCE, ...options })
    t.ok(got.startsWith(message), `${JSON.stringify(options)}: ${got}`)
  }
})

t.test('a scope includes others, and what they include', async t => {
  for (const [given, includes] of [
    [{}, {}],
    [{ write: ['read'] }, { write: ['write', 'read'] }],
    [{ admin: ['write'], write: ['read', 'list'] }, {
      admin: ['admin', 'write', 'read', 'list'], write: ['write', 'read', 'list']
    }],
    [{ a: ['b', 'b'], b: ['c'], c: ['a'] }, { a: ['a', 'b', 'c'], b: ['b', 'c', 'a'], c: ['c', 'a', 'b'] }],
    [{ a: ['a'] }, { a: ['a'] }],
    ['{ "__proto__": ["toString"], "constructor": ["__proto__"] }', {
      ...JSON.parse('{ "__proto__": ["__proto__", "toString"] }'), constructor: ['constructor', '__proto__', 'toString']
    }]
  ] as Array<[object | string, Record<string, string[]>]>) {
    const scopeIncludes = typeof given === 'string' ? JSON.parse(given) as object : given
    const resolved = resolve({ url: RESOURCE, scopeIncludes })!.scopeIncludes
    t.strictSame([...resolved].sort(), Object.entries(includes).sort(), JSON.stringify(scopeIncludes))
  }
})

t.test('what scopeIncludes inherits is no scope', async t => {
  for (const scopeIncludes of [Object.create({ write: ['read'] }), JSON.parse('{}')]) {
    t.equal(resolve({ url: RESOURCE, scopeIncludes })!.scopeIncludes.size, 0)
  }
})

t.test('a scopeIncludes that is not an object with arrays of scopes is refused', async t => {
  for (const scopeIncludes of [
    null, 'write', 5, [], ['write'], [['write', 'read']], { write: 'read' }, { write: [] }, { write: [''] },
    { write: ['a b'] }, { write: [5] }, { write: ['"'] }, { '': ['read'] }, { 'a b': ['read'] }, { a: null },
    new Map([['write', ['read']]]), () => ['read'], JSON.parse('{ "__proto__": "read" }')
  ]) {
    const message = messageOf({ url: RESOURCE, scopeIncludes })
    t.match(message, /^Option "resource\.scopeIncludes" must be an object with non-empty arrays of scopes, such as /,
      `${typeof scopeIncludes} ${JSON.stringify(scopeIncludes)}`)
  }
})
