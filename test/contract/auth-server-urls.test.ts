import t from 'tap'
import { discoveryUrls, isHttps, jwksUrl, oauthIssuer, parseUrl } from '../../lib/contract/auth-server-urls.js'

t.test('the issuer of the OAuth provider is the public origin, with the base path that is known', async t => {
  const cases: Array<[authUrl: string, publicUrl: string | undefined, issuer: string]> = [
    ['http://auth.internal:3000', undefined, 'http://auth.internal:3000/api/auth'],
    ['http://auth.internal:3000', 'https://id.example.com', 'https://id.example.com/api/auth'],
    ['http://auth.internal:3000/auth', 'https://id.example.com', 'https://id.example.com/auth'],
    ['http://auth.internal:3000/auth//', 'https://id.example.com/', 'https://id.example.com/auth'],
    ['http://auth.internal:3000/auth', 'https://id.example.com/login/', 'https://id.example.com/login']
  ]
  for (const [authUrl, publicUrl, issuer] of cases) {
    const found = oauthIssuer(new URL(authUrl), publicUrl === undefined ? undefined : new URL(publicUrl))
    t.equal(found, issuer, `${authUrl}, ${publicUrl}`)
  }
})

t.test('browsers reach the auth server over https by the first option that says so', async t => {
  const http = new URL('http://a.example.com')
  const https = new URL('https://a.example.com')
  t.strictSame([isHttps(https, undefined, http), isHttps(http, 'https://b', https)], [true, false])
  t.strictSame([isHttps(undefined, 'HTTPS://b', http), isHttps(undefined, 'http://b', https)], [true, false])
  t.equal(isHttps(undefined, ['http://b', 'https://b'], http), true)
  t.equal(isHttps(undefined, 'http://b/https:', https), false)
  for (const issuer of [undefined, 'issuer', () => true, [], 'xhttps://b'] as Array<string | undefined>) {
    t.strictSame([isHttps(undefined, issuer, http), isHttps(undefined, issuer, https)], [false, true])
  }
})

t.test('the JWKS is searched for below an origin or a base path', async t => {
  const origin = new URL('https://a.example.com')
  t.strictSame(discoveryUrls(origin, 'https://a.example.com').map(url => url.slice(origin.origin.length)), [
    '/api/auth/jwks', '/.well-known/jwks.json', '/api/auth/.well-known/jwks.json', '/jwks'
  ])
  t.strictSame(discoveryUrls(origin, 'https://a.example.com/auth'), [
    'https://a.example.com/auth/jwks', 'https://a.example.com/auth/.well-known/jwks.json'
  ])
  t.equal(jwksUrl('https://a.example.com', '/keys'), 'https://a.example.com/keys')
  for (const path of ['keys', '/', '/../keys', '/a b', '/a?b', '/a#b', '/a\\b']) {
    t.throws(() => jwksUrl('https://a.example.com', path), { message: /^Option "jwksPath" must be/ }, path)
  }
})

t.test('what a URL parser would correct is no URL', async t => {
  t.equal(parseUrl('authUrl', 'HTTPS://A.example.com/x').href, 'https://a.example.com/x')
  t.equal(parseUrl('authUrl', 'http://jwks').href, 'http://jwks/', 'a host may have any name')
  for (const text of [
    'a.example.com', 'https:/a.example.com', 'https:a.example.com', 'https:\\\\a.example.com', ' https://a.example.com',
    'https://a.example.com?', 'https://a.example.com#', 'https://u@a.example.com', 'https://:p@a.example.com',
    'https://@a.example.com', 'ftp://a.example.com', 'https://', 'https://[::1'
  ]) {
    t.throws(() => parseUrl('authUrl', text), { message: /^Option "authUrl" must be/ }, text)
  }
  for (const [base, path] of [
    ['https://a', '/jwks'], ['https://a', '/.well-known/jwks.json'], ['https://a/api/auth', '/jwks'],
    ['https://a', '/.well-known/openid-configuration']
  ]) {
    t.throws(() => parseUrl('publicUrl', base! + path!), {
      message: `Option "publicUrl" must be the URL of the auth server, not of its JWKS: set it to "${base}", ` +
        `and if the keys are not found "jwksPath" to "${path}"`
    })
  }
})
