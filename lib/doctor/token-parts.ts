import type { FastifyRequest } from 'fastify'
import type { BetterAuthError } from '../contract/errors.js'
import type { RefusalReason } from '../contract/reasons.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { ResolvedResource } from '../contract/resolve-resource.js'
import { createStatusCheck } from '../http/account-status.js'
import { accessTokenProfile } from '../tokens/access-token.js'
import { checkTimes } from '../tokens/claims.js'
import { parseJws, type HeaderPolicy, type JsonObject, type JwsHeader } from '../tokens/jws.js'
import { isOAuthToken } from '../tokens/principal.js'
import type { UserReader } from '../tokens/user-reader.js'
import type { TokenProfile } from '../tokens/verified-token.js'
import { redact } from './redact.js'
import type { DoctorPart, DoctorVerdict } from './report.js'

/** The header parameter that a verdict on the key is about. */
const KEY_PARAMETERS: ReadonlyMap<RefusalReason | null, string> = new Map([
  ['unknown_key', 'kid'], ['unusable_key', 'kid'], ['algorithm_mismatch', 'alg']
])

/** Judges each parameter in an otherwise valid header. */
export async function headerParts (
  header: JsonObject, profile: TokenProfile, { reason }: DoctorVerdict
): Promise<DoctorPart[]> {
  // HS256 concerns `alg` alone. The rest of such a header is judged as if HS256 were accepted.
  const lenient = { types: profile.types, algorithms: new Set([...profile.algorithms, 'HS256']) }
  const good = header.alg === 'HS256' ? { alg: 'HS256' } : { alg: [...profile.algorithms][0], kid: 'kid' }
  const names = new Set(['alg', 'kid', 'typ', ...Object.keys(header)])
  return Promise.all([...names].map(async name => ({
    name,
    value: redact(name, header[name]),
    reason: await reasonOf(() => {
      return judgeHeader({ ...good, [name]: header[name] }, name === 'alg' ? profile : lenient)
    }) ?? (KEY_PARAMETERS.get(reason) === name ? reason : null)
  })))
}

/** Judges each claim in an otherwise valid payload, for which any issuer and audience of a user's token will do. */
export async function claimParts (
  payload: JsonObject, header: JsonObject, options: ResolvedOptions, readUser: UserReader
): Promise<DoctorPart[]> {
  const now = Date.now()
  const judgedHeader = headerWithType(header, accessTokenProfile(options, readUser))
  const isOAuth = isOAuthToken(payload, judgedHeader.typ)
  const good = {
    ...isOAuth ? goodOAuthClaims(payload, options.resource) : { sub: 'sub' },
    exp: Number.MAX_SAFE_INTEGER,
    banExpires: payload.banExpires
  }
  const needed = ['iss', 'aud', 'exp', ...payload.id === undefined ? ['sub'] : []]
  if (isOAuth && options.resource && payload.azp === undefined) needed.push('client_id')
  return Promise.all([...new Set([...needed, ...Object.keys(payload)])].map(async name => ({
    name,
    value: redact(name, payload[name]),
    reason: ownReason(name, await reasonOf(() => {
      const issuer = name === 'iss' ? options.issuer : false
      const audience = name === 'aud' ? options.audience : false
      const profile = accessTokenProfile({ ...options, issuer, audience }, readUser)
      judgePayload({ ...good, [name]: payload[name] }, judgedHeader, profile, options, now)
    }))
  })))
}

/** The rest of an OAuth access token whose one claim is judged: client, subject and session have to fit together. */
function goodOAuthClaims (
  { sub, sid, client_id: clientId, azp }: JsonObject, resource: ResolvedResource | undefined
): JsonObject {
  const text = (value: unknown) => typeof value === 'string' && value !== '' ? value : undefined
  return {
    iss: resource?.issuer,
    aud: resource?.url,
    client_id: text(clientId) ?? text(azp) ?? 'client',
    sub: text(sub) ?? 'sub',
    sid: text(sid)
  }
}

/** An OAuth access token is refused as a whole: of its claims, only those that tell its kind are marked. */
function ownReason (claim: string, reason: RefusalReason | null): RefusalReason | null {
  return reason === 'oauth_token_not_accepted' && !['client_id', 'azp'].includes(claim) ? null : reason
}

/** A valid header with the `typ` of a token: some claims are allowed in some types of token only. */
function headerWithType ({ typ }: JsonObject, profile: TokenProfile): JwsHeader {
  const alg = [...profile.algorithms][0]!
  try {
    return judgeHeader({ alg, kid: 'kid', typ }, profile)
  } catch {
    return judgeHeader({ alg, kid: 'kid' }, profile)
  }
}

/** Judges a header with the plugin's own parser, in an otherwise empty token. @throws TokenInvalidError */
export function judgeHeader (header: JsonObject, policy: HeaderPolicy): JwsHeader {
  // Objects are replaced by null: only their type matters, and a deeply nested object could not be serialised.
  const flat = Object.fromEntries(Object.entries(header).map(([name, value]) => {
    return [name, typeof value === 'object' ? null : value]
  }))
  return parseJws(`${Buffer.from(JSON.stringify(flat)).toString('base64url')}.e30.AA`, policy)
}

/**
 * Judges a payload as the plugin does once its signature is verified.
 *
 * @throws TokenInvalidError, TokenExpiredError, ForbiddenError
 */
function judgePayload (
  payload: JsonObject, header: JwsHeader, profile: TokenProfile, options: ResolvedOptions, now: number
): void {
  const { authorization } = profile.read(payload, header, now)
  checkTimes(payload, options.clockTolerance, now)
  const checkStatus = createStatusCheck({ ...options, isRevoked: undefined }, () => now)
  checkStatus(requestWith(''), { token: '', authorization })
}

/** A request with everything that `bearerToken()` and a status check without `isRevoked` read. */
export function requestWith (authorization: string): FastifyRequest {
  return { headers: { authorization }, raw: { rawHeaders: [] } } as unknown as FastifyRequest
}

/** The reason word of what a function throws, or rejects with; `null` if it does not. */
export async function reasonOf (run: () => unknown): Promise<RefusalReason | null> {
  try {
    await run()
    return null
  } catch (error) {
    return (error as BetterAuthError).reason
  }
}
