import t from 'tap'
import { InvalidOptionError, type BetterAuthOptions } from '../../lib/index.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'

const handler = async () => new Response()
const JWT = { id: 'jwt' }

/** The options of the plugin for a Better Auth instance with these options. */
function resolve (options: object, others: BetterAuthOptions = {}, env: NodeJS.ProcessEnv = {}) {
  return resolveOptions({ auth: { handler, options: { plugins: [JWT], ...options } }, ...others }, env)
}

function messageOf (...args: Parameters<typeof resolve>): string {
  try {
    resolve(...args)
  } catch (error) {
    if (error instanceof InvalidOptionError) return error.message
    throw error
  }
  return 'accepted'
}

t.test('URL, issuer and audience follow from the baseURL', async t => {
  t.match(resolve({ baseURL: 'https://app.example.com' }), {
    authUrl: 'https://app.example.com/api/auth',
    publicUrl: 'https://app.example.com',
    issuer: ['https://app.example.com'],
    audience: ['https://app.example.com'],
    jwksUrls: ['https://app.example.com/api/auth/jwks'],
    auth: { basePath: '/api/auth', isDynamic: false, isSecure: true, mount: { openapi: false } }
  })
  for (const [options, url] of [
    [{ basePath: '/auth' }, 'https://app.example.com/auth'],
    [{ basePath: 'auth/' }, 'https://app.example.com/auth'],
    [{ basePath: '//auth//' }, 'https://app.example.com/auth'],
    [{ baseURL: 'https://app.example.com/' }, 'https://app.example.com/api/auth'],
    [{ baseURL: 'https://app.example.com/own/', basePath: '/auth' }, 'https://app.example.com/own']
  ] as const) {
    t.equal(resolve({ baseURL: 'https://app.example.com', ...options }).authUrl, url)
  }
})

t.test('without a baseURL, BETTER_AUTH_URL counts, as for Better Auth itself', async t => {
  const env = { BETTER_AUTH_URL: 'https://env.example.com' }
  t.equal(resolve({}, {}, env).authUrl, 'https://env.example.com/api/auth')
  for (const baseURL of ['', null]) {
    t.equal(resolve({ baseURL }, {}, env).authUrl, 'https://env.example.com/api/auth')
  }
  t.equal(resolve({ baseURL: 'https://app.example.com' }, {}, env).authUrl, 'https://app.example.com/api/auth')
  t.match(messageOf({}), 'Option "auth.options.baseURL" is not set, and neither is BETTER_AUTH_URL')
  t.match(messageOf({}, {}, { BETTER_AUTH_URL: '' }), 'Set the baseURL of betterAuth()')
  t.match(messageOf({}, {}, { BETTER_AUTH_URL: 'x' }), '(from the environment variable BETTER_AUTH_URL) must be')
  t.match(messageOf({ baseURL: 'https://user:pass@app.example.com' }),
    /^Option "auth\.options\.baseURL" must be an .* got 'https:\/\/\*\*\*@app\.example\.com'/)
  t.match(messageOf({ baseURL: 5 }), 'baseURL" must be a string or an object, got a value of type number')
})

t.test('a baseURL that depends on each request needs a URL that does not', async t => {
  const dynamic = { allowedHosts: ['*.example.com'] }
  t.match(messageOf({ baseURL: dynamic }), /depends on each request.*set its "fallback", or the option "publicUrl"/)
  t.match(resolve({ baseURL: { ...dynamic, fallback: 'https://app.example.com' } }), {
    authUrl: 'https://app.example.com/api/auth', issuer: ['https://app.example.com'], auth: { isDynamic: true }
  })
  const baseURL = { ...dynamic, fallback: 'https://a.example.com' }
  const both = resolve({ baseURL }, { publicUrl: 'https://b.example.com' })
  t.equal(both.authUrl, 'https://b.example.com/api/auth')
  t.match(messageOf({ baseURL: { ...dynamic, fallback: 'x' } }), 'Option "auth.options.baseURL" must be an absolute')
  t.match(messageOf({ baseURL }, { publicUrl: 'x' }), 'Option "publicUrl" must be an absolute')
  for (const [protocol, env, isSecure] of [
    ['https', {}, true], ['http', { NODE_ENV: 'production' }, false], ['auto', { NODE_ENV: 'production' }, true],
    [undefined, {}, false]
  ] as const) {
    const baseURL = { ...dynamic, protocol, fallback: 'https://app.example.com' }
    t.equal(resolve({ baseURL }, {}, env).auth!.isSecure, isSecure)
  }
})

t.test('what contradicts it fails the boot', async t => {
  const baseURL = 'https://app.example.com'
  t.match(messageOf({ baseURL }, { authUrl: baseURL }), 'Option "authUrl" must not be set with "auth"')
  t.match(messageOf({ baseURL }, { publicUrl: baseURL }), 'Option "publicUrl" must not be set with "auth"')
  t.match(messageOf({ baseURL, plugins: [] }), 'needs the plugin jwt()')
  t.match(messageOf({ baseURL, plugins: undefined }), 'needs the plugin jwt()')
  const remote = { id: 'jwt', options: { jwks: { remoteUrl: 'https://x' } } }
  t.match(messageOf({ baseURL, plugins: [null, remote] }), 'remoteUrl')
  for (const basePath of ['/a b', '/:id', '/*', '/../x', '/a//b', '/a.']) {
    t.match(messageOf({ baseURL, basePath }), 'Option "auth.options.basePath" must be a path of letters', basePath)
  }
  t.match(messageOf({ baseURL, basePath: 5 }), 'Option "auth.options.basePath" must be a string, got 5')
  for (const auth of [null, true, 'x', {}, { handler }, { handler, options: null }, { handler: 5, options: {} }]) {
    const given = { auth } as unknown as BetterAuthOptions
    t.throws(() => resolveOptions(given, {}), { message: /"auth" must be what betterAuth\(\) returns, got a value/ })
  }
})

t.test('users and sessions have the fields that Better Auth adds', async t => {
  const additionalFields = { plan: { type: 'string' } }
  const { auth } = resolve({ baseURL: 'https://app.example.com', session: { additionalFields } })
  t.strictSame(auth!.fields, { user: [], session: [{ name: 'plan', type: 'string' }] })
})

t.test('mount', async t => {
  const baseURL = 'https://app.example.com'
  t.equal(resolve({ baseURL }, { mount: false }).auth!.mount, false)
  t.strictSame(resolve({ baseURL }, { mount: { openapi: true } }).auth!.mount, { openapi: true })
  t.match(messageOf({ baseURL }, { mount: { opnapi: true } as object }), 'Unknown option "mount.opnapi"')
  t.match(messageOf({ baseURL, basePath: '/' }), 'Option "auth" has the base path "/"')
  const root = resolve({ baseURL, basePath: '/' }, { mount: false })
  t.match(root, { authUrl: baseURL, jwksUrls: [`${baseURL}/jwks`], auth: { basePath: '' } })
  t.match(root.exchange, { url: `${baseURL}/token?disableRefresh=true`, root: undefined })
  t.throws(() => resolveOptions({ mount: false }, {}), { message: /Option "mount" needs the option "auth"/ })
})

t.test('the options of jwt() count, unless the plugin has its own', async t => {
  const options = {
    baseURL: 'https://app.example.com',
    plugins: [{ id: 'jwt', options: { jwt: { issuer: 'iss', audience: ['a', 'b'] }, jwks: { jwksPath: '/keys' } } }]
  }
  t.match(resolve(options, { resource: 'https://app.example.com/mcp' }), {
    issuer: ['iss'],
    audience: ['a', 'b'],
    jwksUrls: ['https://app.example.com/api/auth/keys'],
    resource: { issuer: 'iss' }
  })
  t.match(resolve(options, { issuer: 'x', audience: 'y', jwksPath: '/z' }), {
    issuer: ['x'], audience: ['y'], jwksUrls: ['https://app.example.com/api/auth/z']
  })
  t.match(resolve({ ...options, plugins: [{ id: 'jwt', options: { jwt: { issuer: '', audience: 5 } } }] }), {
    issuer: ['https://app.example.com'], audience: ['https://app.example.com']
  })
})

t.test('a session is exchanged on each request, by the names of Better Auth\'s cookies', async t => {
  const baseURL = 'https://app.example.com'
  t.match(resolve({ baseURL }).exchange, {
    sessionToken: false,
    apiKey: false,
    sessionCookie: { names: ['__Host-better-auth.session_token', '__Secure-better-auth.session_token'] },
    maxAge: 0,
    requestsPerMinute: 6000
  })
  t.match(resolve({ baseURL, plugins: [JWT, { id: 'bearer' }, { id: 'api-key' }] }).exchange, {
    sessionToken: true, apiKey: { header: 'x-api-key' }
  })
  t.match(resolve({ baseURL }, { exchange: { maxAge: 60_000, sessionToken: true, requestsPerMinute: 5 } }).exchange, {
    maxAge: 60_000, sessionToken: true, apiKey: false, requestsPerMinute: 5
  })
  t.equal(resolve({ baseURL }, { exchange: false }).exchange, undefined)
  const advanced = { cookiePrefix: 'own', useSecureCookies: false }
  const named = resolve({ baseURL, advanced }, { sessionCookie: true })
  t.ok(named.exchange!.sessionCookie && named.exchange!.sessionCookie.names.includes('own.session_token'))
  t.ok(named.sessionCookie && named.sessionCookie.names.includes('own.session_data'))
  const cookies = { session_token: { name: 'sid' }, session_data: { name: 'sdata' } }
  const renamed = resolve({ baseURL, advanced: { cookies } }, { sessionCookie: true })
  t.match(renamed.exchange!.sessionCookie, { names: ['__Host-sid', '__Secure-sid'] })
  t.match(renamed.sessionCookie, { names: ['__Host-sdata', '__Secure-sdata'] })
})

t.test('the headers with the IP address of the client', async t => {
  const baseURL = 'https://app.example.com'
  t.strictSame(resolve({ baseURL }).auth!.ipHeaders, ['x-forwarded-for'])
  const advanced = { ipAddress: { ipAddressHeaders: ['CF-Connecting-IP', 'x-forwarded-for', 5] } }
  t.strictSame(resolve({ baseURL, advanced }).auth!.ipHeaders, ['x-forwarded-for', 'cf-connecting-ip'])
})

t.test('the roles are those of admin(), unless the option or `rolesFrom` says otherwise', async t => {
  const baseURL = 'https://app.example.com'
  const authorize = () => ({ success: true })
  const withRoles = (roles: unknown) => ({ baseURL, plugins: [JWT, { id: 'admin', options: { roles } }] })
  const namesOf = (...args: Parameters<typeof resolve>) => [...resolve(...args).roles?.keys() ?? []]
  t.strictSame(namesOf(withRoles({ admin: { authorize }, editor: { authorize } })), ['admin', 'editor'])
  t.strictSame(namesOf(withRoles({ admin: { authorize } }), { roles: { clerk: { authorize } } }), ['clerk'])
  t.strictSame(namesOf(withRoles({ admin: { authorize } }), { rolesFrom: () => 'admin' }), [])
  for (const none of [undefined, null, {}, 5]) t.strictSame(namesOf(withRoles(none)), [])
  const organization = { id: 'organization', options: { roles: { owner: { authorize } } } }
  t.strictSame(namesOf({ baseURL, plugins: [JWT, organization] }), [])
  const option = 'Option "auth.options.plugins.admin.roles'
  t.match(messageOf(withRoles({ admin: 5 })), `${option}.admin" must be a role object`)
  t.match(messageOf(withRoles({ 'a,b': { authorize } })), `${option}" must be an object`)
})
