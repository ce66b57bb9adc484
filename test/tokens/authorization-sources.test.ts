import t, { type Test } from 'tap'
import type { BetterAuthOptions, Claims, Session } from '../../lib/index.js'
import { createAuthorizationSources } from '../../lib/tokens/authorization-sources.js'
import { USER } from '../../lib/tokens/principal.js'
import { bearer, captureLog, startApi } from '../fixtures/api.js'
import { startIssuer } from '../fixtures/test-issuer.js'

const issuer = await startIssuer(t, { algorithm: 'HS256' })
const RESOURCE = 'https://api.example.com'
const GRANT = { clientId: 'app_1', scopes: ['read'], resource: RESOURCE }

async function createAsk (t: Test, options: BetterAuthOptions) {
  const log = captureLog()
  const { authUrl, secret } = issuer
  const own = { authUrl, secret: secret!, resource: RESOURCE, sessionCookie: { secret: secret! }, ...options }
  const app = await startApi(t, own, log)
  const clients = { delegated: ['read'], clients: ['read'] }
  app.get('/me', { onRequest: app.authorize(clients) }, async ({ principal }) => ({ of: principal.organization }))
  app.get('/roles', { onRequest: app.authorize({ ...clients, roles: ['owner'] }) }, async () => 'in')
  app.get('/organization', { onRequest: app.authorize({ ...clients, organization: true }) }, async () => 'in')
  return async (url: string, credential: string | { cookie: string }) => {
    log.lines.length = 0
    const headers = typeof credential === 'string' ? bearer(credential) : credential
    const { statusCode, body } = await app.inject({ url, headers })
    const [refusal] = log.refusals()
    const reason = refusal?.reason
    t.equal(statusCode, reason === undefined ? 200 : 403, `${url} ${reason}`)
    return reason === undefined ? body : [reason, (refusal!.err as Error | undefined)?.message]
  }
}

t.test('without the options, no function is called', async t => {
  t.equal(createAuthorizationSources({ rolesFrom: undefined, organizationFrom: undefined }), undefined)
})

t.test('with rolesFrom, a user has no roles but its own, and a client has none', async t => {
  const ask = createAuthorizationSources({ rolesFrom: () => undefined, organizationFrom: undefined })!
  const authorization = { roles: ['owner'], scopes: ['read'], bannedUntil: undefined }
  const verified = { token: issuer.token(), form: undefined, principal: USER, session: null, authorization }
  t.strictSame(ask(verified), { ...authorization, roles: [] })
  const principal = { kind: 'client', clientId: 'app_1', scopes: ['read'], sessionId: null } as const
  t.strictSame(ask({ ...verified, principal }), { ...authorization, roles: [] })
})

t.test('rolesFrom replaces the claim `role`', async t => {
  for (const [what, roles, passes] of [
    ['text', 'owner', true],
    ['text with commas', 'member,owner', true],
    ['an array', ['member', 'owner'], true],
    ['a frozen array', Object.freeze(['owner']), true],
    ['another role', 'member', false],
    ['a role with spaces', 'member, owner', false],
    ['a comma in an array', ['member,owner'], false],
    ['an empty array', [], false],
    ['nothing', undefined, false],
    ['null', null, false],
    ['empty text', '', false]
  ] as const) {
    const ask = await createAsk(t, { rolesFrom: () => roles })
    for (const memory of ['cold', 'warm']) {
      const role = passes ? 'member' : 'owner'
      const expected = passes ? 'in' : ['role_missing', undefined]
      t.strictSame(await ask('/roles', issuer.token({ role })), expected, `${what}, ${memory}`)
    }
  }
})

t.test('a function that fails gives no role and no organization, and the log says why', async t => {
  const raise = (thrown: unknown): never => { throw thrown }
  const rolesMessage = 'rolesFrom must return a string, an array of strings, or nothing'
  const organizationMessage = 'organizationFrom must return { id, slug?, role? }, all strings, or nothing'
  for (const [what, source, ofRoles = rolesMessage, ofOrganization = organizationMessage] of [
    ['a throw', () => raise(new Error('broken')), 'broken', 'broken'],
    ['a throw of nothing', () => raise(undefined), 'rolesFrom threw something other than an Error',
      'organizationFrom threw something other than an Error'],
    ['a promise', async () => 'owner'],
    ['a promise that is rejected', async () => raise(new Error('later'))],
    ['a number', () => 1],
    ['true', () => true],
    ['a function', () => () => 'owner'],
    ['a list of something else', () => ['owner', 1]],
    ['an object', () => ({ owner: true })],
    ['an object with an id that is none', () => ({ id: 1 })],
    ['an object without an id', () => ({ slug: 'acme', role: 'owner' })],
    ['a role that is a list', () => ({ id: 'org_1', role: ['owner'] })]
  ] as Array<[string, () => never, string?, string?]>) {
    const ask = await createAsk(t, { rolesFrom: source, organizationFrom: source })
    const token = issuer.token({ role: 'owner', o: { id: 'org_1', role: 'owner' } })
    for (const memory of ['cold', 'warm', 'hot']) {
      t.strictSame(await ask('/roles', token), ['roles_from_failed', ofRoles], `${what}, ${memory}`)
      t.strictSame(await ask('/organization', token), ['organization_from_failed', ofOrganization], what)
      t.equal(await ask('/me', token), '{"of":null}', `${what}: other routes work`)
    }
  }
})

t.test('organizationFrom replaces the claim `o`', async t => {
  const o = { id: 'org_o' }
  const ask = await createAsk(t, { organizationFrom: ({ org }) => org as never })
  for (const org of [{ id: 'org_1' }, { id: 'org_1', slug: 'acme', role: 'owner' }]) {
    t.equal(await ask('/me', issuer.token({ org, o })), JSON.stringify({ of: org }))
    t.equal(await ask('/organization', issuer.token({ org, o })), 'in')
  }
  const org = { id: 'org_1', slug: null, name: 'Acme' }
  t.equal(await ask('/me', issuer.token({ org, o })), '{"of":{"id":"org_1"}}')
  for (const org of [undefined, null]) {
    t.strictSame(await ask('/organization', issuer.token({ org, o })), ['organization_missing', undefined])
  }
})

t.test('each is called with copies, once for each verification of a token', async t => {
  const calls: Array<[Claims, Session | null]> = []
  const rolesFrom = (...call: [Claims, Session | null]) => {
    calls.push([structuredClone(call[0]), structuredClone(call[1])])
    const [claims, session] = call
    const { role } = claims.user as { role?: string } | undefined ?? claims
    Object.assign(claims, { sub: 'mallory', exp: 1, role: 'owner', user: { role: 'owner' } })
    if (session !== null) Object.assign(session, { userId: 'mallory', id: 'forged', activeOrganizationId: 'forged' })
    return role as string
  }
  const organizationFrom = (_claims: Claims, session: Session | null) => {
    return session === null ? null : { id: String(session.activeOrganizationId) }
  }
  const ask = await createAsk(t, { rolesFrom, organizationFrom })

  const token = issuer.token({ role: 'owner', plan: 'pro' })
  for (let i = 0; i < 5; i++) t.equal(await ask('/roles', token), 'in')
  // A token is cached from its second use on; one that the secret signed from its first.
  t.equal(calls.length, 1)
  t.match(calls[0], [{ role: 'owner', plan: 'pro', sub: 'user_1' }, null])

  calls.length = 0
  const cookie = issuer.sessionCookie({ role: 'owner' }, { session: { activeOrganizationId: 'org_1' } })
  for (let i = 0; i < 3; i++) {
    t.equal(await ask('/roles', { cookie }), 'in')
    t.equal(await ask('/me', { cookie }), '{"of":{"id":"org_1"}}')
  }
  t.equal(calls.length, 1)
  t.match(calls[0], [{ user: { role: 'owner' } }, { userId: 'user_1', activeOrganizationId: 'org_1' }])
})

t.test('OAuth clients get neither, and no function is called for them', async t => {
  let asked = 0
  const claims = { role: 'owner', o: { id: 'org_1', role: 'owner' } }
  const tokens = [issuer.accessToken({ ...GRANT, claims }), issuer.clientToken({ ...GRANT, claims })]
  const count = (): never => {
    asked++
    return 'owner' as never
  }
  const both = await createAsk(t, { rolesFrom: count, organizationFrom: count })
  const organizationOnly = await createAsk(t, { organizationFrom: count })
  const none = await createAsk(t, {})
  for (const token of tokens) {
    t.strictSame(await both('/roles', token), ['role_missing', undefined])
    for (const ask of [both, organizationOnly, none]) {
      t.strictSame(await ask('/organization', token), ['organization_missing', undefined])
      t.equal(await ask('/me', token), '{"of":null}')
    }
    for (const ask of [organizationOnly, none]) t.equal(await ask('/roles', token), 'in', 'the claim `role` counts')
  }
  t.equal(asked, 0)
})
