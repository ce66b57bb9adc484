import { accessTokens } from '../tokens/access-token.js'
import { createAdmission } from '../http/authenticate.js'
import { bearerToken } from '../schemes/bearer.js'
import type { RefusalReason } from '../contract/errors.js'
import { parseObject, type JwsHeader } from '../tokens/jws.js'
import type { KeyStore } from '../keys/key-store.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { sessionCookies } from '../schemes/session-cookie/jwt.js'
import { createUserReader, type Payload } from '../tokens/user-reader.js'
import { createVerifier, type TokenKind } from '../tokens/verifier.js'
import { judgeHeader, judgePayload, reasonOf, requestWith } from './probe.js'
import type { DoctorPart, DoctorToken, DoctorVerdict } from './report.js'
import { say } from './redact.js'

/** A token with what is in it as far as it can be read; nothing of it is verified. */
export interface OpenToken {
  readonly segments: number
  readonly header: Payload | undefined
  readonly payload: Payload | undefined
  /** Whether each segment is base64url as a JWT has it: not empty, without padding, in its one spelling. */
  readonly isBase64url: boolean
}

/** Takes a token out of what people paste: spaces around it, `Bearer` in front, a cookie, the answer of `GET /api/auth/token`. */
export function findToken (text: string): { token: string, notes: string[] } {
  const notes: string[] = []
  let token = text.replace(/\r?\n$/, '')
  if (token !== token.trim()) notes.push('white space around it was taken off')
  token = token.trim()
  const fromJson = textInJson(token)
  if (fromJson !== undefined) {
    token = fromJson
    notes.push('it was taken out of JSON')
  }
  const bare = token.replace(/^(?:authorization: *)?bearer +/i, '')
  if (bare !== token) notes.push('"Bearer" in front of it was taken off')
  const [, value] = /^[\w.-]*session_data=([^;]*)/.exec(bare) ?? []
  if (value !== undefined) notes.push('it was taken out of a cookie')
  return { token: value ?? bare, notes }
}

function textInJson (text: string): string | undefined {
  try {
    const value = JSON.parse(text) as string | { token?: unknown } | null
    const token = typeof value === 'string' ? value : value?.token
    return typeof token === 'string' ? token : undefined
  } catch {
    return undefined
  }
}

export function openToken (token: string): OpenToken {
  const segments = token.split('.')
  const isBase64url = segments.every(one => one !== '' && Buffer.from(one, 'base64url').toString('base64url') === one)
  return { segments: segments.length, header: read(segments[0]!), payload: read(segments[1] ?? ''), isBase64url }
}

function read (segment: string): Payload | undefined {
  try {
    return parseObject(Buffer.from(segment, 'base64url'))
  } catch {
    return undefined
  }
}

/**
 * Says of a token what an API with these options would say of it: the verdict by the plugin's own verifier, the parts one by one
 * by the functions that it is made of.
 */
export async function examineToken (
  token: string, options: ResolvedOptions, keys: KeyStore
): Promise<Omit<DoctorToken, 'notes'>> {
  const readUser = createUserReader(options.userSchema)
  const kind = accessTokens(options, readUser)
  let isSigned = false
  const watched: TokenKind = {
    ...kind,
    // Nothing is read before its signature was found right.
    read (...payload) {
      isSigned = true
      return kind.read(...payload)
    }
  }
  const verdict = await judge(token, watched, options, keys)
  const cookies = sessionCookies(options, readUser)
  const asCookie = verdict.reason === 'typ_not_allowed' ? await judge(token, cookies, options, keys) : null
  const { segments, header, payload } = openToken(token)
  return {
    segments,
    signature: isSigned ? 'right' : verdict.reason === 'signature_invalid' ? 'wrong' : 'unchecked',
    header: header === undefined ? [] : await headerParts(header, kind, verdict),
    claims: payload === undefined ? [] : await claimParts(payload, header ?? {}, kind, options),
    verdict,
    asCookie: asCookie?.reason === 'typ_not_allowed' ? null : asCookie
  }
}

async function judge (token: string, kind: TokenKind, options: ResolvedOptions, keys: KeyStore): Promise<DoctorVerdict> {
  const request = requestWith(`Bearer ${token}`)
  const verifier = createVerifier(kind, options, keys, Date.now)
  const admit = createAdmission(options, Date.now)
  const reason = await reasonOf(async () => admit(request, await verifier.verify(bearerToken(request)!)))
  return { accepted: reason === null, reason }
}

/** The parameter that a verdict on the key is about. */
const KEY_PARAMETERS: Partial<Record<RefusalReason, string>> = {
  unknown_key: 'kid', unusable_key: 'kid', algorithm_mismatch: 'alg'
}

/** Each parameter is judged in a header that has nothing else wrong with it. */
async function headerParts (header: Payload, kind: TokenKind, { reason }: DoctorVerdict): Promise<DoctorPart[]> {
  // HS256 is a matter of `alg` alone; what else such a header says is judged as if it were accepted.
  const lenient = { types: kind.types, algorithms: new Set([...kind.algorithms, 'HS256']) }
  const good = header.alg === 'HS256' ? { alg: 'HS256' } : { alg: [...kind.algorithms][0], kid: 'kid' }
  const names = new Set(['alg', 'kid', 'typ', ...Object.keys(header)])
  return Promise.all([...names].map(async name => ({
    name,
    says: say(name, header[name]),
    reason: await reasonOf(() => judgeHeader({ ...good, [name]: header[name] }, name === 'alg' ? kind : lenient)) ??
      (reason !== null && KEY_PARAMETERS[reason] === name ? reason : null)
  })))
}

/** Each claim is judged in a payload that has nothing else wrong with it. */
async function claimParts (
  payload: Payload, header: Payload, kind: TokenKind, options: ResolvedOptions
): Promise<DoctorPart[]> {
  const now = Date.now()
  const good = {
    ...options.issuer !== false && { iss: options.issuer[0] },
    ...options.audience !== false && { aud: options.audience[0] },
    sub: 'sub',
    exp: Number.MAX_SAFE_INTEGER,
    banExpires: payload.banExpires
  }
  const judged = await headerOf(header, kind)
  const needed = ['iss', 'aud', 'exp', ...payload.id === undefined ? ['sub'] : []]
  return Promise.all([...new Set([...needed, ...Object.keys(payload)])].map(async name => ({
    name,
    says: say(name, payload[name]),
    reason: await reasonOf(() => judgePayload({ ...good, [name]: payload[name] }, judged, kind, options, now))
  })))
}

/** Some claims are allowed in some types of token only. */
function headerOf ({ typ }: Payload, kind: TokenKind): JwsHeader {
  const alg = [...kind.algorithms][0]!
  try {
    return judgeHeader({ alg, kid: 'kid', typ }, kind)
  } catch {
    return judgeHeader({ alg, kid: 'kid' }, kind)
  }
}
