import Fastify from 'fastify'
import t from 'tap'
import betterAuthPlugin, { InvalidOptionError, type BetterAuthOptions, type Guard } from '../../lib/index.js'
import { bearer, captureLog, startApi } from '../fixtures/api.js'
import { startIssuer } from '../fixtures/test-issuer.js'

const issuer = await startIssuer(t, { algorithm: 'HS256' })
const OPTIONS: BetterAuthOptions = { authUrl: issuer.authUrl, secret: issuer.secret! }

t.test('a guard asks for any organization, or for one by a function', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(betterAuthPlugin, OPTIONS)
  for (const organization of [false, null, 'org_1', ['org_1'], {}, 1]) {
    const authorize = () => app.authorize({ organization } as unknown as Guard)
    const message = /^Option "authorize\.organization" must be true, or a function that returns the id of an organ/
    t.throws(authorize, InvalidOptionError)
    t.throws(authorize, { message })
  }
  const misspelt = { org: true } as unknown as Guard
  t.throws(() => app.authorize(misspelt), { message: /Did you mean "authorize\.organization"/ })
})

t.test('the active organization of a token is its claim `o`', async t => {
  const log = captureLog()
  const app = await startApi(t, OPTIONS, log)
  app.get('/me', { onRequest: app.authenticate }, async ({ principal }) => ({ organization: principal.organization }))
  app.get('/any', { onRequest: app.authorize({ organization: true }) }, async () => 'in')
  const read = async (claims: Record<string, unknown>) => {
    const headers = bearer(issuer.token(claims))
    const found = (await app.inject({ url: '/me', headers })).json().organization
    log.lines.length = 0
    const { statusCode } = await app.inject({ url: '/any', headers })
    t.equal(statusCode, found === null ? 403 : 200)
    t.strictSame(log.refusals().map(({ reason }) => reason), found === null ? ['organization_missing'] : [])
    return found
  }
  for (const [o, organization = o] of [
    [{ id: 'org_1', slug: 'acme', role: 'owner' }],
    [{ id: 'org_1' }],
    [{ id: 'org_1', slug: null, role: null, name: 'Acme' }, { id: 'org_1' }],
    [{ id: 'org_1', role: 'admin,member' }]
  ]) t.strictSame(await read({ o }), organization)
  for (const o of [
    undefined, null, 'org_1', 1, true, [], ['org_1'], {}, { id: '' }, { id: null }, { id: 1 }, { id: ['org_1'] },
    { slug: 'acme' }, { id: 'org_1', slug: 1 }, { id: 'org_1', role: ['owner'] }
  ]) t.equal(await read({ o }), null, JSON.stringify(o))
  for (const claims of [
    { organization: { id: 'org_1' } }, { activeOrganizationId: 'org_1' }, { session: { activeOrganizationId: 'org_1' } }
  ]) t.equal(await read(claims), null, JSON.stringify(claims))
})

t.test('a function binds the guard to the organization of the request', async t => {
  const log = captureLog()
  const app = await startApi(t, OPTIONS, log)
  const raise = (): never => { throw new Error('broken') }
  const later = async (): Promise<never> => raise()
  const rules: Record<string, unknown> = {
    right: () => 'org_1',
    another: () => 'org_2',
    slug: () => 'acme',
    upper: () => 'ORG_1',
    empty: () => '',
    nothing: () => undefined,
    true: () => true,
    list: () => ['org_1'],
    object: () => Object('org_1'),
    throws: raise,
    promise: async () => 'org_1',
    rejected: later
  }
  for (const [name, organization] of Object.entries(rules)) {
    app.get(`/${name}`, { onRequest: app.authorize({ organization } as Guard) }, async () => 'in')
  }
  app.get('/orgs/:orgId', {
    onRequest: [app.authorize({ organization: request => request.params.orgId })]
  }, async () => 'in')
  const headers = bearer(issuer.token({ o: { id: 'org_1', slug: 'acme', role: 'owner' } }))
  const refusalOf = async (url: string, using = headers) => {
    log.lines.length = 0
    const { statusCode } = await app.inject({ url, headers: using })
    const [refusal] = log.refusals()
    t.equal(statusCode, refusal === undefined ? 200 : 403, url)
    return refusal && { reason: refusal.reason, message: (refusal.err as Error | undefined)?.message }
  }

  for (const url of ['/right', '/orgs/org_1', '/orgs/org%5F1']) t.equal(await refusalOf(url), undefined, url)
  const mismatch = (message?: string) => ({ reason: 'organization_mismatch', message })
  for (const url of ['/another', '/slug', '/upper', '/empty', '/orgs/org_2', '/orgs/acme', '/orgs/org_1%00']) {
    t.strictSame(await refusalOf(url), mismatch(), url)
  }
  const mustReturn = 'The organization of a guard must return the id of an organization, got '
  const got = (type: string) => mismatch(mustReturn + type)
  t.strictSame(await refusalOf('/nothing'), got('undefined'))
  t.strictSame(await refusalOf('/true'), got('boolean'))
  for (const url of ['/list', '/object', '/promise', '/rejected']) {
    t.strictSame(await refusalOf(url), got('object'), url)
  }
  t.strictSame(await refusalOf('/throws'), mismatch('broken'))
  const nobody = bearer(issuer.token({ o: { id: '' } }))
  t.match(await refusalOf('/empty', nobody), { reason: 'organization_missing' })
  t.match(await refusalOf('/nothing', bearer(issuer.token())), { reason: 'organization_missing' })
})
