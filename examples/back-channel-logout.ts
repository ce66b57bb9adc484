// In a clone, after `npm install && npm run build`: npx tsx examples/back-channel-logout.ts
import betterAuthPlugin from 'better-auth-fastify'
import Fastify from 'fastify'
import { createRemoteJWKSet, jwtVerify, type JWTPayload } from 'jose'

const { BETTER_AUTH_URL: authUrl = 'http://localhost:3000', CLIENT_ID: clientId, PORT = '3001' } = process.env
// Without an audience, jose would accept the tokens of all clients.
if (!clientId) throw new Error('CLIENT_ID must be the client that has the back-channel logout URI of this API')

const app = Fastify({ logger: true })

await app.register(betterAuthPlugin, { authUrl, exchange: true })

app.get('/me', { onRequest: [app.authenticate] }, async request => request.user)

const issuer = `${authUrl}/api/auth`
const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`))
const checks = {
  issuer,
  audience: clientId,
  typ: 'logout+jwt',
  algorithms: ['EdDSA', 'ES256', 'ES512', 'PS256', 'RS256'],
  requiredClaims: ['exp', 'jti'],
  maxTokenAge: '5 minutes',
  clockTolerance: 5
}
const LOGOUT = 'http://schemas.openid.net/event/backchannel-logout'
/** The `jti` of the logout tokens that were received, and when they expire. */
const received = new Map<string, number>()

/** Verifies a logout token: OpenID Connect Back-Channel Logout 1.0, section 2.6. */
async function verifyLogoutToken (token: string): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, keys, checks)
  const { aud, events, jti, nonce } = payload
  if (Array.isArray(aud)) throw new Error('The logout token is for several audiences')
  if (!isObject(events) || !isObject(events[LOGOUT])) throw new Error('The logout token has no logout event')
  if (nonce !== undefined) throw new Error('The logout token has a nonce, like an ID token')
  if (typeof jti !== 'string' || received.has(jti)) throw new Error('The logout token was received before')
  return payload
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

async function endSession ({ sid, sub }: JWTPayload): Promise<void> {
  if (typeof sid === 'string') await app.betterAuth.revoke({ sessionId: sid })
  else if (typeof sub === 'string') await app.betterAuth.revoke({ userId: sub })
  else throw new Error('The logout token names neither a session nor a user')
}

await app.register(async scope => {
  scope.removeAllContentTypeParsers()
  const form = 'application/x-www-form-urlencoded'
  scope.addContentTypeParser(form, { parseAs: 'string' }, async (_request: unknown, body: string) => {
    return new URLSearchParams(body)
  })

  // Section 2.8: the response is 400 for every failure.
  scope.setErrorHandler(({ message }: Error, request, reply) => {
    request.log.warn(`Logout refused: ${message}`)
    return reply.code(400).header('cache-control', 'no-store').send({ error: 'invalid_request' })
  })

  const options = { config: { public: true }, bodyLimit: 16_384 }
  scope.post<{ Body?: URLSearchParams }>('/back-channel-logout', options, async ({ body }, reply) => {
    const tokens = body?.getAll('logout_token') ?? []
    if (tokens.length !== 1) throw new Error('There must be one logout_token')
    const payload = await verifyLogoutToken(tokens[0]!)
    await endSession(payload)
    for (const [jti, exp] of received) if (exp + 5 < Date.now() / 1000) received.delete(jti)
    received.set(payload.jti!, payload.exp!)
    return reply.header('cache-control', 'no-store').send()
  })
})

await app.listen({ port: Number(PORT) })
