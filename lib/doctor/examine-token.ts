import type { ResolvedOptions } from '../contract/resolve-options.js'
import { createStatusCheck } from '../http/account-status.js'
import type { KeyStore } from '../keys/key-store.js'
import { bearerToken } from '../schemes/bearer.js'
import { sessionCookieProfile } from '../schemes/session-cookie/jwt.js'
import { accessTokenProfile } from '../tokens/access-token.js'
import { loadUserReader } from '../tokens/user-reader.js'
import type { TokenProfile } from '../tokens/verified-token.js'
import { createSignatureChecks } from '../tokens/signature-checks.js'
import { createVerifier } from '../tokens/verifier.js'
import { openToken } from './pasted-token.js'
import type { DoctorToken, DoctorVerdict } from './report.js'
import { kindOf, needsOf } from './token-kind.js'
import { claimParts, headerParts, reasonOf, requestWith } from './token-parts.js'

/** What a token is judged by. */
export interface TokenRules {
  readonly options: ResolvedOptions
  readonly keys: KeyStore
  /** The issuer that the plugin expects of OAuth access tokens. */
  readonly expectedIssuer: string
}

/**
 * Reports what an API with these options would decide about a token. The plugin's own verifier gives the verdict, and
 * the plugin's own functions judge each part.
 */
export async function examineToken (
  token: string, { options, keys, expectedIssuer }: TokenRules
): Promise<Omit<DoctorToken, 'notes' | 'exchanges'>> {
  const readUser = await loadUserReader(options)
  const profile = accessTokenProfile(options, readUser)
  let isSigned = false
  const watched: TokenProfile = {
    ...profile,
    // The verifier reads a payload only if its signature is valid.
    read (...args) {
      isSigned = true
      return profile.read(...args)
    }
  }
  const verdict = await judge(token, watched, options, keys)
  const cookies = sessionCookieProfile(options, { secret: undefined, version: undefined }, readUser)
  const asCookie = verdict.reason === 'typ_not_allowed' ? await judge(token, cookies, options, keys) : null
  const { segments, header, payload } = openToken(token)
  const kind = kindOf(token)
  return {
    segments,
    kind,
    needs: needsOf(kind, options, expectedIssuer),
    signature: isSigned ? 'right' : verdict.reason === 'signature_invalid' ? 'wrong' : 'unchecked',
    header: header === undefined ? [] : await headerParts(header, profile, verdict),
    claims: payload === undefined ? [] : await claimParts(payload, header ?? {}, options, readUser),
    verdict,
    asCookie: asCookie?.reason === 'typ_not_allowed' ? null : asCookie
  }
}

async function judge (
  token: string, profile: TokenProfile, options: ResolvedOptions, keys: KeyStore
): Promise<DoctorVerdict> {
  const request = requestWith(`Bearer ${token}`)
  const verifier = createVerifier(profile, options, { keys, checks: createSignatureChecks(), now: Date.now })
  const checkStatus = createStatusCheck(options, Date.now)
  const reason = await reasonOf(async () => checkStatus(request, await verifier.verify(bearerToken(request)!)))
  return { accepted: reason === null, reason }
}
