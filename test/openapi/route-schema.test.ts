import t from 'tap'
import type { Guard } from '../../lib/index.js'
import { documentProtection, type Detail, type RouteSchema } from '../../lib/openapi/route-schema.js'
import type { Protection } from '../../lib/routes/protections.js'

const BEARER: Detail = { schemes: ['betterAuth'], responses: false }
const RESPONSES: Detail = { schemes: [], responses: true }
const REQUIRED: Protection = { isOptional: false }
const OPTIONAL: Protection = { isOptional: true }
const guarded = (guard: NonNullable<Protection['guard']>): Protection => ({ isOptional: false, guard })

type Responses = Record<string, { description: string, headers?: object, content?: object, type?: string }>

function responsesOf (schema: RouteSchema, ...protections: Protection[]): Responses {
  return (documentProtection(schema, protections, RESPONSES) as { response: Responses }).response
}

t.test('security: one of the schemes, or none where every hook accepts anonymous requests', async t => {
  const both: Detail = { ...BEARER, schemes: ['betterAuth', 'betterAuthCookie'] }
  t.strictSame(documentProtection({}, [REQUIRED], BEARER), { security: [{ betterAuth: [] }] })
  t.strictSame(documentProtection({}, [REQUIRED], both), { security: [{ betterAuth: [] }, { betterAuthCookie: [] }] })
  t.strictSame(documentProtection({}, [OPTIONAL], BEARER), { security: [{ betterAuth: [] }, {}] })
  t.strictSame(documentProtection({}, [OPTIONAL, REQUIRED], BEARER), { security: [{ betterAuth: [] }] })
  t.strictSame(documentProtection({}, [REQUIRED], { ...BEARER, schemes: [] }), {})
})

t.test('responses: the 403 says who comes in', async t => {
  for (const [users, who] of [[true, 'For users'], [false, 'For OAuth clients only']] as const) {
    const { 403: forbidden } = responsesOf({}, guarded({ clients: ['sync', 'read'], users }))
    const needs = 'OAuth clients that act for themselves need the scopes sync, read'
    t.equal(forbidden!.description, `Insufficient permissions. ${needs}. ${who}`)
  }
})

t.test('responses: the 403 names permissions and the organization, and the guard is listed', async t => {
  const either = { actions: ['read', 'pay'], connector: 'OR' } as const
  for (const [guard, needs, listed = guard] of [
    [{ permissions: { project: ['create'] } }, 'Needs a role with the permissions project: create'],
    [
      { permissions: { project: ['create', 'update'], invoice: either } },
      'Needs a role with the permissions project: create and update; invoice: read or pay'
    ],
    [
      { permissions: { project: { actions: ['create', 'update'], connector: 'AND' } } },
      'Needs a role with the permissions project: create and update'
    ],
    [{ organization: true }, 'Needs an active organization'],
    [{ organization: () => 'org_1' }, 'Needs the organization of the request to be active', { organization: true }]
  ] as Array<[Guard, string, object?]>) {
    t.equal(responsesOf({}, guarded(guard))[403]!.description, `Insufficient permissions. ${needs}`)
    t.match(documentProtection({}, [guarded(guard)], BEARER), { 'x-better-auth-guards': [listed] })
  }
})

t.test('security: OAuth clients, where a guard lets them in', async t => {
  const all: Detail = { ...BEARER, schemes: ['betterAuth', 'betterAuthOAuth'] }
  const security = (...protections: Protection[]) => (
    documentProtection({}, protections, all) as { security: unknown }
  ).security
  const user = { betterAuth: [] }
  t.strictSame(security(REQUIRED), [user])
  t.strictSame(security(guarded({ roles: ['a'] })), [user])
  t.strictSame(security(guarded({ delegated: ['read'] })), [user, { betterAuthOAuth: ['read'] }])
  t.strictSame(security(guarded({ delegated: ['read'] }), REQUIRED), [user], 'another hook keeps them out')
})

t.test('what the route says itself stays, and the schema is copied', async t => {
  const schema = { security: [], 'x-better-auth-guards': 'own', summary: 'x' }
  const copy = documentProtection(schema, [guarded({ roles: ['a'] })], BEARER)
  t.strictSame(copy, schema)
  t.not(copy, schema)
  t.strictSame(documentProtection({ security: undefined }, [REQUIRED], BEARER), { security: [{ betterAuth: [] }] })
})

t.test('guards are listed as JSON, in which a function is true', async t => {
  const guards = [guarded({ scopes: ['read'], check: () => true }), REQUIRED, guarded({ roles: ['a', 'b'] })]
  t.match(documentProtection({}, guards, BEARER), {
    'x-better-auth-guards': [{ scopes: ['read'], check: true }, { roles: ['a', 'b'] }]
  })
})

t.test('responses: 401 and 503 with their headers, and 403 for a guard', async t => {
  t.strictSame(Object.keys(responsesOf({}, REQUIRED)), ['200', '401', '503'])
  t.match(responsesOf({}, REQUIRED), {
    200: { description: 'Default Response' },
    401: { type: 'object', headers: { 'WWW-Authenticate': Object } },
    503: { type: 'object', headers: { 'Retry-After': Object } }
  })
  const { 403: forbidden } = responsesOf({}, guarded({ roles: ['a', 'b'] }), guarded({ scopes: ['read'] }))
  t.match(forbidden, {
    description: 'Insufficient permissions. Needs one of the roles a, b. Needs the scope read',
    headers: { 'WWW-Authenticate': Object }
  })
})

t.test('a response of the route is kept, by its status, its range or as default', async t => {
  const own = { description: 'own' }
  const statuses = (...names: string[]) =>
    Object.keys(responsesOf({ response: Object.fromEntries(names.map(name => [name, own])) }, REQUIRED))
  t.strictSame(statuses('201'), ['201', '401', '503'])
  t.strictSame(statuses('401'), ['401', '503'])
  t.strictSame(statuses('4xx'), ['503', '4xx'])
  t.strictSame(statuses('4XX', '5xx'), ['4XX', '5xx'])
  t.strictSame(statuses('default'), ['default'])
  t.equal(responsesOf({ response: { 401: own } }, REQUIRED)[401], own)
  t.strictSame(Object.keys(responsesOf({ response: null }, REQUIRED)), ['200', '401', '503'])
})

t.test('an error is JSON, whatever the route produces', async t => {
  const { 401: refused } = responsesOf({ produces: ['text/csv'] }, REQUIRED)
  const schema = { required: ['statusCode', 'code', 'error', 'message'] }
  t.match(refused, { content: { 'application/json': { schema } } })
  t.notOk('type' in refused!)
})
