import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import t, { type Test } from 'tap'
import { OAUTH_VERSIONS, type Fields, type OAuthVersion } from '../../fixtures/oauth-packages.js'
import { clientOf, REDIRECT_URI } from '../../fixtures/oauth-protocol.js'
import { RESOURCE, startOAuthServer, type OAuthServer } from '../../fixtures/oauth-server.js'
import {
  describeToken, issueEveryKind, KINDS, OTHER_RESOURCE, segment, type Described, type EveryKind, type Kind
} from '../../fixtures/oauth-tokens.js'

// What real servers issue. The tokens of `better-auth-fastify/testing` must look the same.

type Expected = Record<Kind, Described | 'opaque'>

const OPAQUE = /^[A-Za-z]{32}$/

function expected (version: OAuthVersion, { origin, baseURL }: OAuthServer, issued: EveryKind): Expected {
  const { person: { user }, client: { clientId }, machine, key, sessionId } = issued
  const userinfo = `${baseURL}/oauth2/userinfo`
  const is17 = version === '1.7'
  const unique = is17 ? ['jti', 'kid'] : ['kid']
  /** 1.7 marks access tokens; in 1.6, `azp` alone tells them from the tokens of people. */
  const accessToken = (client: string, claims: Fields): Described => ({
    header: is17 ? { typ: 'at+jwt', alg: 'EdDSA' } : { alg: 'EdDSA' },
    claims: { iss: baseURL, aud: RESOURCE, azp: client, ...is17 && { client_id: client }, ...claims },
    unique,
    lifetime: 3600
  })
  const delegated = (claims: Fields = {}): Described =>
    accessToken(clientId, { sub: user.id, sid: sessionId, scope: 'orders:read', ...claims })
  const forItself = (claims: Fields = {}): Described =>
    accessToken(machine.clientId, { scope: 'orders:sync', ...is17 && { sub: machine.clientId }, ...claims })
  /** 1.6 ignores the proof, and issues a bearer token. */
  const binding = is17 ? { cnf: { jkt: key.thumbprint } } : {}

  return {
    firstParty: {
      header: { alg: 'EdDSA' },
      claims: { ...user, sub: user.id, iss: origin, aud: origin },
      unique: ['kid'],
      lifetime: 900
    },
    delegated: delegated(),
    refreshed: delegated({ scope: 'orders:read offline_access' }),
    signedOut: delegated({ scope: 'orders:read offline_access', sid: null }),
    openid: delegated({ scope: 'openid orders:read', aud: [RESOURCE, userinfo] }),
    // 1.6 reads the last `resource` of a request only.
    twoResources: delegated({ aud: is17 ? [RESOURCE, OTHER_RESOURCE] : OTHER_RESOURCE }),
    userinfo: delegated({ scope: 'openid orders:read', aud: is17 ? userinfo : [userinfo, userinfo] }),
    bound: delegated(binding),
    opaque: 'opaque',
    id: {
      header: { alg: 'EdDSA' },
      claims: { iss: baseURL, aud: clientId, sub: user.id, acr: is17 ? '0' : 'urn:mace:incommon:iap:bronze' },
      unique: is17 ? ['at_hash', 'auth_time', 'kid'] : ['auth_time', 'kid'],
      lifetime: 36_000
    },
    machine: forItself(),
    machineBound: forItself(binding),
    machineOpaque: 'opaque'
  }
}

for (const version of OAUTH_VERSIONS) {
  t.test(`the tokens of Better Auth ${version}, claim by claim`, async t => {
    const server = await startOAuthServer(t, { version, resources: [RESOURCE, OTHER_RESOURCE] })
    const issued = await issueEveryKind(server)
    const keys = createLocalJWKSet(await getJson(`${server.baseURL}/jwks`) as unknown as JSONWebKeySet)
    for (const kind of KINDS) {
      const token = issued.tokens[kind]
      const described = expected(version, server, issued)[kind]
      if (described === 'opaque') {
        t.match(token, OPAQUE, kind)
      } else {
        t.strictSame(describeToken(token), described, kind)
        await t.resolves(jwtVerify(token, keys), `${kind} is signed with a key of the JWKS`)
      }
    }
  })

  t.test(`${version}: the metadata is at its own URL and below the base path, JWKS included`, async t => {
    const server = await startOAuthServer(t, { version })
    const { origin, baseURL } = server
    const metadata = await getJson(`${origin}/.well-known/oauth-authorization-server/api/auth`)
    t.match(metadata, {
      issuer: baseURL,
      authorization_endpoint: `${baseURL}/oauth2/authorize`,
      token_endpoint: `${baseURL}/oauth2/token`,
      registration_endpoint: `${baseURL}/oauth2/register`,
      introspection_endpoint: `${baseURL}/oauth2/introspect`,
      jwks_uri: `${baseURL}/jwks`,
      scopes_supported: ['openid', 'profile', 'email', 'offline_access', 'orders:read', 'orders:write', 'orders:sync'],
      response_types_supported: ['code'],
      grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      ...version === '1.7' && { dpop_signing_alg_values_supported: ['EdDSA', 'ES256', 'ES512', 'PS256', 'RS256'] }
    })
    for (const path of ['oauth-authorization-server', 'openid-configuration']) {
      t.strictSame(await getJson(`${baseURL}/.well-known/${path}`), metadata, path)
    }
    for (const path of ['oauth-authorization-server', 'openid-configuration/api/auth', 'oauth-protected-resource']) {
      t.equal((await fetch(`${origin}/.well-known/${path}`)).status, 404, `nothing at ${path}`)
    }

    await server.firstPartyToken(await server.signUp())
    const { keys: [key] } = await getJson(`${baseURL}/jwks`) as { keys: [Fields] }
    t.strictSame(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'x'])
    t.match(key, { alg: 'EdDSA', crv: 'Ed25519', kty: 'OKP' })
  })

  t.test(`${version}: jwt.issuer is the issuer of every kind, and moves the metadata`, async t => {
    const issuer = 'https://id.example.com'
    const server = await startOAuthServer(t, { version, jwt: { jwt: { issuer } } })
    const person = await server.signUp()
    const request = { scopes: ['openid'], resource: RESOURCE }
    const tokens = await server.delegate(person, await server.registerClient(), request)
    t.match(segment(tokens.access_token, 1), { iss: issuer, aud: [RESOURCE, `${server.baseURL}/oauth2/userinfo`] })
    t.equal(segment(tokens.id_token!, 1).iss, issuer)
    t.match(segment(await server.firstPartyToken(person), 1), { iss: issuer, aud: server.origin })

    const metadata = await getJson(`${server.origin}/.well-known/oauth-authorization-server`)
    t.match(metadata, { issuer, jwks_uri: `${server.baseURL}/jwks` })
    for (const path of ['/.well-known/oauth-authorization-server/api/auth',
      '/api/auth/.well-known/oauth-authorization-server']) {
      t.equal((await fetch(server.origin + path)).status, 404, path)
    }
  })

  t.test(`${version}: on an http host that is not loopback, only the metadata says https`, async t => {
    const server = await startOAuthServer(t, { version, baseOrigin: 'http://auth.internal' })
    const person = await server.signUp()
    const tokens = await server.delegate(person, await server.registerClient(), { resource: RESOURCE })
    t.equal(segment(tokens.access_token, 1).iss, 'http://auth.internal/api/auth')
    t.match(segment(await server.firstPartyToken(person), 1), {
      iss: 'http://auth.internal', aud: 'http://auth.internal'
    })
    t.match(await getJson(`${server.origin}/.well-known/oauth-authorization-server/api/auth`), {
      issuer: 'https://auth.internal/api/auth', jwks_uri: 'http://auth.internal/api/auth/jwks'
    })
  })

  t.test(`${version}: /token can be disabled`, async t => {
    const server = await startOAuthServer(t, { version, disableToken: true })
    const person = await server.signUp()
    await t.rejects(server.firstPartyToken(person), { message: '/api/auth/token: 404 Not Found' })
    const tokens = await server.delegate(person, await server.registerClient(), { resource: RESOURCE })
    t.equal(segment(tokens.access_token, 1).sub, person.user.id, 'OAuth tokens are still issued')
  })

  t.test(`${version}: a ban ends sessions, but not refresh tokens`, async t => {
    const provider = {
      customAccessTokenClaims: ({ user }: { user?: Fields }) => ({ banned: user?.banned, role: user?.role })
    }
    const server = await startOAuthServer(t, { version, provider })
    const person = await server.signUp()
    const client = await server.registerClient()
    const request = { scopes: ['orders:read', 'offline_access'], resource: RESOURCE }
    const before = await server.delegate(person, client, request)
    t.match(segment(before.access_token, 1), { banned: false, role: 'user' })

    await server.ban(person)
    const after = await server.refresh(client, before, request)
    t.match(segment(after.access_token, 1), { sub: person.user.id, banned: true, role: 'user' })
    await t.rejects(server.firstPartyToken(person), { message: /401/ })
    await t.rejects(server.signIn(person.user.email), { message: /BANNED_USER/ })
    await t.rejects(server.authorize(person, client, request), { message: /no code: \/sign-in/ })
  })

  t.test(`${version}: an access token is a JWT only if its client names the resource`, async t => {
    const server = await startOAuthServer(t, { version })
    const person = await server.signUp()
    const client = await server.registerClient()
    const scopes = ['orders:read', 'offline_access']
    const named = { scopes, resource: RESOURCE }
    const isJwt = (tokens: { access_token: string }) => tokens.access_token.includes('.')

    const late = await server.exchange(client, await server.authorize(person, client, { scopes }), named)
    t.ok(isJwt(late), 'naming it for the exchange is enough')
    const early = await server.exchange(client, await server.authorize(person, client, named), { scopes })
    t.equal(isJwt(early), version === '1.7', 'in 1.7, so is naming it for the authorization')
    t.equal(isJwt(await server.refresh(client, late)), version === '1.7', '1.7 remembers it for the refresh')
    for (const resource of ['https://unknown.example.com', `${RESOURCE}/`]) {
      await t.rejects(server.delegate(person, client, { scopes, resource }), {
        message: version === '1.7' ? /error=invalid_target/ : /400 .*requested resource invalid/
      }, `the resource must be known to the letter: ${resource}`)
    }
  })

  t.test(`${version}: who can register what`, async t => {
    const server = await startOAuthServer(t, { version })
    const person = await server.signUp()
    const client = await server.registerClient({ client_id: person.user.id })
    t.not(client.clientId, person.user.id, 'a client cannot choose its id')
    const machine = { grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_basic' }
    await t.rejects(server.registerClient(machine), { message: /client_credentials grant requires authenticated/ })
    const loopback = { redirect_uris: ['http://localhost:3333/callback'] }
    const registered = server.registerClient(loopback)
    // MCP clients on a desktop redirect to loopback.
    if (version === '1.7') await t.rejects(registered, { message: /invalid_redirect_uri/ })
    else await t.resolves(registered)
    await t.resolves(server.registerClient({ ...loopback, application_type: 'native' }))
  })
}

t.test('1.6 lets everybody who is signed in register a machine with all scopes; 1.7 does not', async t => {
  const [tokens17, tokens16] = await Promise.all(OAUTH_VERSIONS.map(version => selfRegistered(t, version)))
  t.equal(tokens17, undefined)
  t.strictSame(describeToken(tokens16!).claims.scope,
    'openid profile email offline_access orders:read orders:write orders:sync')
  t.equal(segment(tokens16!, 1).sub, undefined)
})

t.test('1.6 lets customAccessTokenClaims set client_id, 1.7 does not; neither lets it set azp, sub or sid', async t => {
  const forged = { client_id: 'forged', azp: 'forged', sub: 'forged', sid: 'forged', scope: 'forged' }
  for (const version of OAUTH_VERSIONS) {
    const server = await startOAuthServer(t, { version, provider: { customAccessTokenClaims: () => forged } })
    const person = await server.signUp()
    const client = await server.registerClient()
    const { access_token: token } = await server.delegate(person, client, {
      scopes: ['orders:read'], resource: RESOURCE
    })
    t.match(segment(token, 1), {
      client_id: version === '1.6' ? 'forged' : client.clientId,
      azp: client.clientId,
      sub: person.user.id,
      sid: server.sessionIdOf(person),
      scope: 'orders:read'
    })
    const machine = await server.createClient(person, ['orders:sync'])
    const { sub, sid } = segment((await server.clientCredentials(machine, { resource: RESOURCE })).access_token, 1)
    t.strictSame({ sub, sid }, { sub: version === '1.7' ? machine.clientId : undefined, sid: undefined })
  }
})

t.test('definePayload can make a first-party token look like one of a client', async t => {
  const looks = { client_id: 'c', azp: 'c', scope: 'orders:read', sid: 's' }
  const server = await startOAuthServer(t, { jwt: { jwt: { definePayload: () => looks } } })
  const person = await server.signUp()
  t.strictSame(describeToken(await server.firstPartyToken(person)), {
    header: { alg: 'EdDSA' },
    claims: { ...looks, sub: person.user.id, iss: server.origin, aud: server.origin },
    unique: ['kid'],
    lifetime: 900
  })
})

t.test('pairwise clients get another sub in the ID token only', async t => {
  const server = await startOAuthServer(t, { provider: { pairwiseSecret: 'p'.repeat(32) } })
  const person = await server.signUp()
  const client = await server.registerClient({ subject_type: 'pairwise' })
  const tokens = await server.delegate(person, client, { scopes: ['openid'], resource: RESOURCE })
  t.equal(segment(tokens.access_token, 1).sub, person.user.id)
  t.not(segment(tokens.id_token!, 1).sub, person.user.id)
})

t.test('mcp() issues the same tokens, and serves the metadata of its resource on its own host', async t => {
  const resource = 'http://127.0.0.1:4000/mcp'
  const server = await startOAuthServer(t, { plugin: 'mcp', resources: [resource] })
  const person = await server.signUp()
  const client = await server.registerClient()
  const { access_token: token } = await server.delegate(person, client, { scopes: ['orders:read'], resource })
  t.match(describeToken(token), {
    header: { typ: 'at+jwt' }, claims: { aud: resource, client_id: client.clientId, iss: server.baseURL }
  })
  for (const path of ['', '/mcp']) {
    t.strictSame(await getJson(`${server.origin}/.well-known/oauth-protected-resource${path}`), {
      resource,
      authorization_servers: [server.baseURL],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['EdDSA', 'ES256', 'ES512', 'PS256', 'RS256'],
      scopes_supported: ['orders:read', 'orders:write', 'orders:sync']
    })
  }
})

/** A token for a client that somebody who is signed in has registered, by the route for everybody. */
async function selfRegistered (t: Test, version: OAuthVersion): Promise<string | undefined> {
  const server = await startOAuthServer(t, { version })
  const { cookie } = await server.signUp()
  const metadata = { redirect_uris: [REDIRECT_URI], grant_types: ['client_credentials'], response_types: [] }
  const client = clientOf(await server.post('/oauth2/register', metadata, { cookie }))
  const tokens = await server.clientCredentials(client, { resource: RESOURCE }).catch(() => undefined)
  return tokens?.access_token
}

async function getJson (url: string): Promise<Fields> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  return await response.json() as Fields
}
