import type { AddressInfo } from 'node:net'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import type { DpopReplayStore } from '../../../lib/index.js'
import { dpopScheme } from '../../../lib/schemes/dpop/scheme.js'
import type { FoundCredential } from '../../../lib/schemes/scheme.js'
import type { VerifiedToken } from '../../../lib/tokens/verified-token.js'
import type { Verifier } from '../../../lib/tokens/verifier.js'
import { captureLog, startApi } from '../../fixtures/api.js'
import { createClock, useClock } from '../../fixtures/clock.js'
import { createDpopKey } from '../../fixtures/dpop.js'
import { rawRequest } from '../../fixtures/raw-request.js'
import { withReason } from '../../fixtures/refusals.js'
import { startIssuer } from '../../fixtures/test-issuer.js'

// How a request presents a bound token and its proof. What a proof must be is in proof.test.ts, and everything over a
// real OAuth server in test/system/short/dpop.test.ts.

const RESOURCE = 'https://api.example.com'
const KEY = createDpopKey()
const issuer = await startIssuer(t)
const GRANT = { clientId: 'app_1', scopes: ['read'], resource: RESOURCE }
const TOKEN = issuer.accessToken({ ...GRANT, claims: { cnf: { jkt: KEY.thumbprint } } })
const UNBOUND = issuer.accessToken(GRANT)
const prove = (token = TOKEN, claims = {}) => KEY.prove('GET', `${RESOURCE}/`, token, claims)
const lines = (token = TOKEN, proof = prove(token)) => [`Authorization: DPoP ${token}`, `DPoP: ${proof}`]

/** A store that waits, and counts. */
function createStore (): DpopReplayStore & { readonly keys: Set<string>, calls: number } {
  const keys = new Set<string>()
  return {
    keys,
    calls: 0,
    async reserve ({ key }) {
      this.calls++
      return keys.size !== keys.add(key).size
    }
  }
}

for (const [memory, replayStore] of [['of the instance', undefined], ['of the application', createStore()]] as const) {
  t.test(`a bound token needs one proof, which counts once: in the memory ${memory}`, async t => {
    const log = captureLog()
    const extracted: unknown[] = []
    const extractToken = ({ headers }: FastifyRequest) => {
      extracted.push(headers.authorization)
      return headers['x-token'] as string | undefined
    }
    const options = { authUrl: issuer.authUrl, resource: RESOURCE, dpop: { replayStore }, extractToken }
    const app = await startApi(t, options, log)
    const guard = app.authorize({ delegated: ['read'] })
    const handler = async ({ principal }: FastifyRequest) => principal.via
    app.get('/', { onRequest: [guard, app.authorize({ delegated: ['read'] })], preHandler: [guard] }, handler)
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const outcomeOf = async (...headerLines: string[]) => {
      log.lines.length = 0
      const { status, body } = await rawRequest(port, '/', headerLines)
      const [refusal] = log.refusals()
      return [status, refusal?.reason ?? body, refusal?.claim].filter(part => part !== undefined).join(' ')
    }

    const proof = prove()
    const rows: Array<[what: string, outcome: string, headerLines: string[]]> = [
      ['its proof, for all hooks of a request', '200 dpop', lines(TOKEN, proof)],
      ['the proof again', '401 proof_replayed', lines(TOKEN, proof)],
      ['another proof', '200 dpop', lines()],
      ['lower case and spaces', '200 dpop', [`authorization: dpop   ${TOKEN} `, `dpop: ${prove()}`]],
      ['a jti of 512 characters', '200 dpop', lines(TOKEN, prove(TOKEN, { jti: 'x'.repeat(512) }))],
      ['no jti', '401 proof_claim_invalid jti', lines(TOKEN, prove(TOKEN, { jti: undefined }))],
      ['an empty jti', '401 proof_claim_invalid jti', lines(TOKEN, prove(TOKEN, { jti: '' }))],
      ['a jti that is null', '401 proof_claim_invalid jti', lines(TOKEN, prove(TOKEN, { jti: null }))],
      ['a jti that is an array', '401 proof_claim_invalid jti', lines(TOKEN, prove(TOKEN, { jti: ['x'] }))],
      ['a longer jti', '401 proof_claim_invalid jti', lines(TOKEN, prove(TOKEN, { jti: 'x'.repeat(513) }))],
      ['the proof of another token', '401 proof_mismatch ath', lines(TOKEN, prove(UNBOUND))],
      ['no proof', '401 proof_missing', [`Authorization: DPoP ${TOKEN}`]],
      ['two proofs', '401 proof_malformed', [...lines(), `DPoP: ${prove()}`]],
      ['no token', '400 authorization_malformed', ['Authorization: DPoP', `DPoP: ${prove()}`]],
      ['two tokens', '400 authorization_malformed', [`Authorization: DPoP ${TOKEN} ${TOKEN}`, `DPoP: ${prove()}`]],
      ['the scheme twice', '400 authorization_malformed', [`Authorization: DPoP x DPoP ${TOKEN}`, `DPoP: ${prove()}`]],
      ['a tab', '400 authorization_malformed', [`Authorization: DPoP\t${TOKEN}`, `DPoP: ${prove()}`]],
      ['text before it', '401 token_missing', [`Authorization: x DPoP ${TOKEN}`, `DPoP: ${prove()}`]],
      ['two headers', '400 authorization_malformed', [...lines(), `Authorization: DPoP ${TOKEN}`]],
      ['only a proof', '401 token_missing', [`DPoP: ${prove()}`]],
      ['a scheme that begins like it', '401 token_missing', [`Authorization: DPoPs ${TOKEN}`, `DPoP: ${prove()}`]],
      ['a bound token as Bearer', '401 token_kind cnf', [`X-Token: ${TOKEN}`]],
      ['an unbound token as Bearer', '200 bearer', [`X-Token: ${UNBOUND}`]],
      ['an unbound token', '401 token_not_bound', lines(UNBOUND)],
      ['a token of a user', '401 token_not_bound', lines(issuer.token())]
    ]
    for (const [what, outcome, headerLines] of rows) t.equal(await outcomeOf(...headerLines), outcome, what)
    t.notOk(extracted.some(text => /^dpop(?![^ \t])/i.test(String(text))), 'extractToken does not see the scheme DPoP')
    if (replayStore !== undefined) t.equal(replayStore.calls, replayStore.keys.size + 1)
  })
}

t.test('a request that a hook changes is verified again', async t => {
  for (const isLater of [false, true]) {
    const checked: string[] = []
    const verified = (token: string) => ({ token, principal: { boundTo: 'k' } }) as unknown as VerifiedToken
    const verifier = {
      verify: (token: string) => isLater ? Promise.resolve(verified(token)) : verified(token)
    } as Verifier
    const scheme = dpopScheme(verifier, (proof, { token, boundTo }) => {
      checked.push(`${token} ${proof} ${boundTo}`)
      return isLater ? Promise.resolve() : undefined
    })
    const request = { headers: {}, raw: { rawHeaders: [] } } as unknown as FastifyRequest
    for (const [authorization, dpop] of [
      ['DPoP a', 'p'], ['DPoP a', 'p'], ['DPoP a', 'q'], ['DPoP b', 'q'], ['DPoP b', 'q']
    ]) {
      Object.assign(request.headers, { authorization, dpop })
      const { token } = await (scheme.find(request) as FoundCredential).verify()
      t.equal(`DPoP ${token}`, authorization)
    }
    t.strictSame(checked, ['a p k', 'a q k', 'b q k'])
    Object.assign(request.raw, { rawHeaders: ['DPoP', 'q', 'dpop', 'r'] })
    const verify = () => (scheme.find(request) as FoundCredential).verify()
    t.throws(verify, withReason('proof_malformed'), 'a hook that chooses one of several proofs')
    Object.assign(request.headers, { dpop: ['q'] })
    Object.assign(request.raw, { rawHeaders: [] })
    t.throws(verify, withReason('proof_malformed'), 'or makes a list of it')
    Object.assign(request.headers, { authorization: 'DPoP a \t', dpop: 'p' })
    t.equal((await verify()).token, 'a', 'blanks after the token')
    Object.assign(request.raw, { rawHeaders: ['Authorization', 'DPoP a', 'authorization', 'DPoP b'] })
    t.throws(() => scheme.find(request), withReason('authorization_malformed'), 'two tokens')
    Object.assign(request.headers, { authorization: ['DPoP a'] })
    t.equal(scheme.find(request), undefined, 'a list is no header of this scheme')
  }
})

t.test('by hand, for a connection that outlives its token: refused when the token has expired', async t => {
  for (const replayStore of [undefined, createStore()]) {
    const clock = createClock(Date.now())
    useClock(t, clock)
    const options = { authUrl: issuer.authUrl, resource: RESOURCE, dpop: { replayStore }, clockTolerance: 0 }
    const app = await startApi(t, options)
    const guard = app.authorize({ delegated: ['read'] })
    let message: (() => Promise<void>) | undefined
    app.get('/', { onRequest: [guard] }, async (request, reply) => {
      message = () => guard(request, reply)
      return 'open'
    })
    const token = issuer.accessToken({ ...GRANT, expiresIn: 60, claims: { cnf: { jkt: KEY.thumbprint } } })
    const headers = { authorization: `DPoP ${token}`, dpop: prove(token), host: 'api.example.com' }
    t.equal((await app.inject({ url: '/', headers })).statusCode, 200)
    await message!()
    clock.advance(61_000)
    await t.rejects(message!(), { code: 'FST_BETTER_AUTH_TOKEN_EXPIRED' })
  }
})

t.test('without the option `dpop`, a bound token is not accepted', async t => {
  const app = await startApi(t, { authUrl: issuer.authUrl, resource: RESOURCE })
  app.get('/', { onRequest: [app.authorize({ delegated: ['read'] })] }, async () => 'in')
  for (const scheme of ['DPoP', 'Bearer']) {
    const headers = { authorization: `${scheme} ${TOKEN}`, dpop: prove() }
    t.equal((await app.inject({ url: '/', headers })).statusCode, 401)
  }
})
