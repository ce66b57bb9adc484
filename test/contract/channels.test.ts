import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { jwt } from 'better-auth/plugins'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { admitUsers, createAuthenticator } from '../../lib/http/authenticate.js'
import {
  CHANNELS, type BetterAuthOptions, type JwksFetchMessage, type KeyChangeMessage, type VerificationMessage
} from '../../lib/index.js'
import { JwksFetchError } from '../../lib/auth-server/find-jwks.js'
import type { KeyStore } from '../../lib/keys/key-store.js'
import { bearer, startApi } from '../fixtures/api.js'
import { ask, AUTH_URL, createTestStore } from '../fixtures/key-store.js'
import { cookieHeader, startCookieServer } from '../fixtures/cookie-server.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { startJwksServer } from '../fixtures/jwks-server.js'
import { createBearerVerifier } from '../fixtures/verifier.js'
import { bearerScheme } from '../../lib/schemes/bearer.js'
import { createSignedCookie, sessionCookieScheme } from '../../lib/schemes/session-cookie/scheme.js'

/** What is published on a channel until the end of the test. */
function listen<Message> (t: Test, name: string): Message[] {
  const messages: Message[] = []
  const onMessage = (message: unknown) => { messages.push(message as Message) }
  subscribe(name, onMessage)
  t.teardown(() => unsubscribe(name, onMessage))
  return messages
}

async function createApi (t: Test, options: BetterAuthOptions): Promise<FastifyInstance> {
  const app = await startApi(t, options)
  app.get('/me', { onRequest: app.authenticate }, async request => request.user.id)
  app.get('/hello', { onRequest: app.authenticateOptional }, async () => 'hello')
  app.get('/admin', { onRequest: app.authorize({ roles: ['admin'] }) }, async () => 'admin')
  app.get('/jwt', async request => request.jwtVerify())
  return app
}

t.test('each verification is published once: outcome, reason, and whether the token was cached', async t => {
  const key = createSigningKey()
  const { origin: authUrl, stop } = await startJwksServer([key.jwk])
  t.teardown(stop)
  const isRevoked = async ({ jti }: { jti?: string }) => jti === 'revoked'
  const app = await createApi(t, { authUrl, isRevoked })
  const messages = listen<VerificationMessage>(t, CHANNELS.verification)
  const token = signJws(key, createClaims(authUrl))
  const accepted = { authUrl, credential: 'bearer', outcome: 'accepted', reason: null, cached: false }
  const refused = { ...accepted, outcome: 'refused' }

  const cases: Array<[name: string, url: string, headers: Record<string, string>, message: object]> = [
    ['a token that was not seen before', '/me', bearer(token), accepted],
    ['one that was', '/me', bearer(token), { ...accepted, cached: true }],
    ['a user whose role the guard does not accept', '/admin', bearer(token), { ...accepted, cached: true }],
    ['no token', '/me', {}, { ...refused, credential: null, reason: 'token_missing' }],
    ['an anonymous request', '/hello', {}, { ...accepted, credential: null, outcome: 'anonymous' }],
    [
      'a malformed header',
      '/hello',
      { authorization: 'Bearer' },
      { ...refused, credential: null, reason: 'authorization_malformed' }
    ],
    [
      'a forged token',
      '/me',
      bearer(signJws({ ...createSigningKey(), kid: key.kid }, createClaims(authUrl))),
      { ...refused, reason: 'signature_invalid' }
    ],
    [
      'an expired token',
      '/me',
      bearer(signJws(key, createClaims(authUrl, { exp: 1 }))),
      { ...refused, reason: 'token_expired' }
    ],
    [
      'a banned user',
      '/me',
      bearer(signJws(key, createClaims(authUrl, { banned: true }))),
      { ...refused, reason: 'banned' }
    ],
    [
      'a revoked token',
      '/me',
      bearer(signJws(key, createClaims(authUrl, { jti: 'revoked' }))),
      { ...refused, reason: 'token_revoked' }
    ],
    ['a token that is too long', '/me', bearer('x'.repeat(16_385)), { ...refused, reason: 'token_too_long' }]
  ]
  for (const [name, url, headers, message] of cases) {
    t.test(name, async t => {
      messages.length = 0
      await app.inject({ url, headers })
      t.strictSame(messages, [message])
      t.notMatch(JSON.stringify(messages), /eyJ/)
    })
  }

  t.test('but not those of request.jwtVerify()', async t => {
    messages.length = 0
    t.equal((await app.inject({ url: '/jwt', headers: bearer(token) })).statusCode, 200)
    t.strictSame(messages, [])
  })

  t.test('and never cached with tokenCache: false', async t => {
    const app = await createApi(t, { authUrl, tokenCache: false })
    messages.length = 0
    for (let i = 0; i < 2; i++) await app.inject({ url: '/me', headers: bearer(token) })
    t.strictSame(messages, [accepted, accepted])
  })
})

t.test('a session cookie is named as such', async t => {
  const auth = await startCookieServer({ plugins: [jwt({ sessionCookieCache: true })] })
  t.teardown(() => auth.close())
  const app = await createApi(t, { authUrl: auth.origin, sessionCookie: true })
  const messages = listen<VerificationMessage>(t, CHANNELS.verification)
  const { cookies } = await auth.signUp()
  t.equal((await app.inject({ url: '/me', headers: cookieHeader(cookies) })).statusCode, 200)
  t.strictSame(
    messages, [{ authUrl: auth.origin, credential: 'cookie', outcome: 'accepted', reason: null, cached: false }]
  )
})

t.test('who listens does not make the key store be asked twice', async t => {
  listen<VerificationMessage>(t, CHANNELS.verification)
  const key = createSigningKey()
  const { store } = createTestStore([key.jwk])
  const asked: string[] = []
  const keys: KeyStore = {
    ...store,
    get (kid, alg) { asked.push(`get ${kid}`); return store.get(kid, alg) },
    isTrusted (key) { asked.push(`isTrusted ${key.kid}`); return store.isTrusted(key) }
  }
  const verifier = createBearerVerifier({ authUrl: AUTH_URL }, keys, Date.now)
  const check = createAuthenticator(
    { schemes: [bearerScheme(verifier, undefined)], checkStatus: () => {}, authUrl: AUTH_URL, withSession: false },
    admitUsers
  )
  const request = {
    headers: bearer(signJws(key, createClaims(AUTH_URL))), raw: { rawHeaders: [] }
  } as unknown as Parameters<typeof check>[0]
  for (let i = 0; i < 3; i++) await check(request)
  t.strictSame(asked, [`get ${key.kid}`, `get ${key.kid}`, `isTrusted ${key.kid}`])
})

t.test('an error that is no refusal is rethrown as it is, and is published without a reason', async t => {
  const messages = listen<VerificationMessage>(t, CHANNELS.verification)
  const verifier = createBearerVerifier({ authUrl: AUTH_URL }, createTestStore([]).store, Date.now)
  const findCookie = createSignedCookie(verifier, ['session'])
  const schemes = [bearerScheme(verifier, undefined), sessionCookieScheme(verifier, findCookie, [])]
  const check = createAuthenticator({
    schemes, checkStatus: () => {}, authUrl: AUTH_URL, withSession: false
  }, admitUsers)
  const broken = new Error('of an odd request')
  const request = { headers: { get cookie () { throw broken } }, raw: { rawHeaders: [] } }
  t.throws(() => check(request as unknown as Parameters<typeof check>[0]), broken)
  t.strictSame(messages, [{ authUrl: AUTH_URL, credential: null, outcome: 'refused', reason: null, cached: false }])
})

t.test('each fetch of the JWKS is published with its outcome and duration', async t => {
  const messages = listen<JwksFetchMessage>(t, CHANNELS.jwksFetch)
  const key = createSigningKey('EdDSA', 'k1')
  const { store, source, clock } = createTestStore([key.jwk])
  const { url } = source

  const release = source.hold()
  const pending = store.get('k1', 'EdDSA')
  clock.advance(40)
  release()
  await pending
  t.strictSame(messages.splice(0), [{ authUrl: AUTH_URL, url, outcome: 'ok', code: null, duration: 40 }])

  await ask(store, 'k1')
  t.strictSame(messages, [], 'a key that is at hand costs no fetch')

  for (const [fault, code] of [
    [new JwksFetchError('timeout'), 'timeout'], [new Error('a bug'), 'unexpected']
  ] as const) {
    source.fault = fault
    clock.advance(60_000)
    await t.rejects(store.ready())
    t.strictSame(messages.splice(0), [{ authUrl: AUTH_URL, url, outcome: 'error', code, duration: 0 }])
  }
})

t.test('each change of a key is published once', async t => {
  const messages = listen<KeyChangeMessage>(t, CHANNELS.keyChange)
  const { store, source, clock } = createTestStore([])
  const stale = () => { clock.advance(store.status().keys.length === 0 ? 5000 : 700_000) }
  const first = createSigningKey('EdDSA', 'k1')

  const steps: Array<[name: string, keys: typeof source.keys, change: string | undefined]> = [
    ['an unknown key', [], undefined],
    ['a new key', [first.jwk], 'found'],
    ['the same key again', [first.jwk], undefined],
    ['other material', [createSigningKey('EdDSA', 'k1').jwk], 'replaced'],
    ['a key that may not be used any more', [{ ...first.jwk, use: 'enc' }], 'unusable'],
    ['the key is back', [first.jwk], 'found'],
    ['the key is gone', [], 'removed'],
    ['the key is still gone', [], undefined]
  ]
  for (const [name, keys, change] of steps) {
    stale()
    source.keys = keys
    await ask(store, 'k1')
    t.strictSame(messages.splice(0), change === undefined ? [] : [{ authUrl: AUTH_URL, kid: 'k1', change }], name)
  }

  const [a, b, c] = ['a', 'b', 'c'].map(kid => createSigningKey('EdDSA', kid).jwk)
  const changed = () => messages.splice(0).map(({ kid, change }) => `${kid} ${change}`)
  source.keys = [a, b]
  stale()
  await store.ready()
  t.strictSame(changed(), ['a found', 'b found'], 'one fetch finds every key')
  source.keys = [c, { ...b, use: 'enc' }, null]
  await store.ready()
  t.strictSame(changed(), ['c found', 'a removed', 'b unusable'])
})

t.test('the names of the channels, which applications may write out', async t => {
  t.strictSame(CHANNELS, {
    jwksFetch: 'better-auth-fastify:jwks-fetch',
    keyChange: 'better-auth-fastify:key-change',
    verification: 'better-auth-fastify:verification'
  })
})
