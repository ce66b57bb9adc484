import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import {
  copyUser, decorateRequests, getUser, setIdentity, verifiedToken
} from '../../lib/http/request-decorators.js'
import type { VerifiedToken } from '../../lib/tokens/verified-token.js'
import { startApi } from '../fixtures/api.js'
import { USER } from '../fixtures/expected.js'
import { encode } from '../fixtures/signing.js'

const OPTIONS = resolveOptions({ authUrl: 'https://id.example.com' }, {})
const CLAIMS = { sub: 'u_1', exp: 1_700_000_000, list: ['a'] }

/** A verified token, as all requests that present it share it. */
function createVerified (changes: Partial<VerifiedToken> = {}): VerifiedToken {
  return {
    token: `${encode({ alg: 'EdDSA' })}.${encode(CLAIMS)}.AA`,
    via: 'bearer',
    principal: { kind: 'user' },
    user: USER,
    session: null,
    authorization: { roles: [], scopes: [], bannedUntil: undefined },
    options: OPTIONS,
    hasOnlyPrimitives: true,
    key: undefined,
    notBefore: 0,
    expiresAt: Infinity,
    ...changes
  }
}

/** The requests of an instance with these decorators and nothing else. */
async function createRequests (t: Test, count: number, withSession = false): Promise<FastifyRequest[]> {
  const app: FastifyInstance = Fastify()
  t.teardown(() => app.close())
  app.decorateRequest('user')
  decorateRequests(app, withSession)
  const requests: FastifyRequest[] = []
  app.get('/', async request => { requests.push(request) })
  for (let i = 0; i < count; i++) await app.inject('/')
  return requests
}

t.test('the claims are decoded when somebody reads them, and once', async t => {
  const [request, unread] = await createRequests(t, 2)
  setIdentity(request!, createVerified())
  t.strictSame(request!.claims, CLAIMS)
  t.equal(request!.claims, request!.claims)
  t.doesNotThrow(() => { setIdentity(unread!, createVerified({ token: 'a.b.c' })) })
  t.throws(() => unread!.claims, SyntaxError)
})

t.test('user, claims and session belong to one request', async t => {
  const [one, two] = await createRequests(t, 2, true)
  const session = { userId: 'u_1', token: 'x', expiresAt: '2026-01-01T00:00:00.000Z', tags: ['a'] }
  const options = resolveOptions({ sessionCookie: true }, {})
  const verified = createVerified({ session, options })
  for (const request of [one!, two!]) setIdentity(request, verified)
  one!.user.name = 'Eve'
  ;(one!.claims.list as string[]).push('b')
  ;(one!.session!.tags as string[]).push('b')
  t.strictSame([two!.user, two!.claims, two!.session], [USER, CLAIMS, session])
  t.strictSame([verified.user, verified.session!.tags], [USER, ['a']])
})

t.test('a user with nested values is copied with all of them', async t => {
  const user = { ...USER, tags: ['a'] }
  const nested = createVerified({ user, hasOnlyPrimitives: false })
  t.strictSame(copyUser(nested), user)
  t.not((copyUser(nested) as typeof user).tags, user.tags)
})

t.test('an OAuth client that acts for itself is no user', async t => {
  for (const hasOnlyPrimitives of [true, false]) {
    t.equal(copyUser(createVerified({ user: null, hasOnlyPrimitives })), null)
  }
})

t.test('claims can be replaced; without a token they are null, and so are principal and session', async t => {
  const [request] = await createRequests(t, 1, true)
  t.equal(request!.claims, null)
  t.equal(request!.principal, null)
  t.equal(request!.session, null)
  const claims = { exp: 1 }
  request!.claims = claims
  t.equal(request!.claims, claims)
  t.notOk('session' in (await createRequests(t, 1))[0]!)
})

t.test('a verified token counts for the registration that verified it, and nobody can write to it', async t => {
  const [request] = await createRequests(t, 1)
  t.equal(verifiedToken(request!, OPTIONS), null)
  const verified = createVerified()
  setIdentity(request!, verified)
  t.equal(verifiedToken(request!, OPTIONS), verified)
  t.equal(verifiedToken(request!, { ...OPTIONS }), null, 'not for another with the same options')
  request!.user = { ...USER, id: 'u_2' }
  t.equal(verifiedToken(request!, OPTIONS)!.user!.id, 'u_1')
})

t.test('getUser() is null without a user: on any instance, and for an anonymous request', async t => {
  const plain = Fastify()
  t.teardown(() => plain.close())
  plain.get('/', async request => ({ user: getUser(request) }))
  t.strictSame((await plain.inject('/')).json(), { user: null })

  const app = await startApi(t, { authUrl: 'https://id.example.com' })
  app.get('/', { onRequest: [app.authenticateOptional] }, async request => ({ user: getUser(request) }))
  t.strictSame((await app.inject('/')).json(), { user: null })

  const [request] = await createRequests(t, 1)
  setIdentity(request!, createVerified())
  t.equal(getUser(request!), request!.user)
})
