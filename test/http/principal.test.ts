import t from 'tap'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { createPrincipal, verifiedTokenOf } from '../../lib/http/principal.js'
import type { Session } from '../../lib/index.js'
import { USER as USER_TOKEN, type TokenPrincipal } from '../../lib/tokens/principal.js'
import type { VerifiedToken } from '../../lib/tokens/verified-token.js'
import { CLOCK, NOW } from '../fixtures/claims.js'
import { USER } from '../fixtures/expected.js'
import { encode } from '../fixtures/signing.js'

const OPTIONS = resolveOptions({ authUrl: 'https://id.example.com' }, {})
const CLIENT = { clientId: 'app_1', scopes: ['orders:read'], sessionId: null }

/** A verified token whose `exp` is that of all tests. The clock tolerance is in `expiresAt` only. */
function createVerified (principal: TokenPrincipal, session: Session | null = null): VerifiedToken {
  return {
    token: `${encode({ alg: 'EdDSA' })}.${encode({ exp: NOW })}.AA`,
    via: 'bearer',
    principal,
    user: principal.kind === 'client' ? null : USER,
    session,
    authorization: { roles: [], scopes: ['orders:read', 'orders:list'], bannedUntil: undefined },
    options: OPTIONS,
    hasOnlyPrimitives: true,
    key: undefined,
    notBefore: 0,
    expiresAt: CLOCK + 5000
  }
}

const sessionUntil = (ms: number, fields: Record<string, unknown> = {}): Session => {
  return { userId: 'u_1', token: 'secret', expiresAt: new Date(ms).toISOString(), ...fields }
}

t.test('a user has the session of the cookie, and no other', async t => {
  t.strictSame(createPrincipal(createVerified(USER_TOKEN), USER), {
    kind: 'user', user: USER, via: 'bearer', sessionId: null, expiresAt: CLOCK, organization: null
  })
  const session = sessionUntil(CLOCK + 60_000, { id: 's_1' })
  t.strictSame(createPrincipal(createVerified(USER_TOKEN, session), USER), {
    kind: 'user', user: USER, via: 'bearer', sessionId: 's_1', expiresAt: CLOCK, organization: null
  })
  for (const id of [undefined, null, 5]) {
    const verified = createVerified(USER_TOKEN, sessionUntil(CLOCK, { id }))
    t.equal(createPrincipal(verified, USER).sessionId, null, `a session with the id ${id}`)
  }
})

t.test('it names the credential that the request presented', async t => {
  for (const via of ['cookie', 'session-token', 'session-cookie', 'api-key'] as const) {
    t.equal(createPrincipal({ ...createVerified(USER_TOKEN), via }, USER).via, via)
    t.equal(createPrincipal({ ...createVerified({ kind: 'client', ...CLIENT }), via }, USER).via, via)
  }
})

t.test('it expires with the token or with the session, whichever ends first', async t => {
  const verified = createVerified(USER_TOKEN, sessionUntil(CLOCK - 60_000))
  t.equal(createPrincipal(verified, USER).expiresAt, CLOCK - 60_000)
  t.equal(createPrincipal(createVerified(USER_TOKEN), USER, { exp: 1.5 }).expiresAt, 1500, 'claims that were read')
})

t.test('a client has its scopes as granted, and a user only if it acts for one', async t => {
  t.strictSame(createPrincipal(createVerified({ kind: 'delegated', ...CLIENT, sessionId: 's_1' }), USER), {
    kind: 'delegated',
    user: USER,
    clientId: 'app_1',
    scopes: ['orders:read'],
    via: 'bearer',
    sessionId: 's_1',
    expiresAt: CLOCK,
    organization: null
  })
  const client = createPrincipal(createVerified({ kind: 'client', ...CLIENT }), null as never)
  t.strictSame(client, {
    kind: 'client',
    clientId: 'app_1',
    scopes: ['orders:read'],
    via: 'bearer',
    sessionId: null,
    expiresAt: CLOCK,
    organization: null
  })
  t.notOk('user' in client)
})

t.test('the user is the one that handlers may change; nothing else can be changed', async t => {
  const verified = createVerified({ kind: 'delegated', ...CLIENT })
  const user = { ...USER }
  const principal = createPrincipal(verified, user)
  t.match(principal, { kind: 'delegated' })
  if (principal.kind !== 'delegated') return
  t.equal(principal.user, user)
  t.ok(Object.isFrozen(principal) && Object.isFrozen(principal.scopes))
  t.notOk(Object.isFrozen(CLIENT.scopes), 'the scopes are a copy')
  t.ok(Object.isFrozen(createPrincipal(createVerified(USER_TOKEN), USER)))
  t.ok(Object.isFrozen(createPrincipal(createVerified({ kind: 'client', ...CLIENT }), USER)))
})

t.test('the organization is the one of the token', async t => {
  const verified = createVerified(USER_TOKEN)
  const organization = Object.freeze({ id: 'org_1' })
  const inside = { ...verified, authorization: { ...verified.authorization, organization } }
  t.equal(createPrincipal(inside, USER).organization, organization)
})

t.test('it leads to its verified token, and nothing else does', async t => {
  const verified = createVerified(USER_TOKEN)
  const principal = createPrincipal(verified, USER)
  t.equal(verifiedTokenOf(principal), verified)
  const copies = [{ ...principal }, structuredClone(principal), Object.create(principal)]
  for (const other of [...copies, {}, null, undefined, 1]) {
    t.equal(verifiedTokenOf(other), undefined)
  }
})
