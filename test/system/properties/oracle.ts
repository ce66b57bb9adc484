import { compactVerify, decodeJwt, importJWK, jwtVerify, type JWK } from 'jose'

export const ALGORITHMS = ['EdDSA', 'Ed25519', 'ES256', 'ES384', 'ES512', 'RS256', 'PS256']

/**
 * What jose says of a token under the rules of the plugin: one of the published keys with its `kid` verifies it, issuer
 * and audience are the auth server's, it has an end and a subject, and it does not name itself another kind of token.
 */
export async function isAcceptedByJose (token: string, keys: readonly unknown[], issuer: string): Promise<boolean> {
  for (const key of keys) {
    try {
      // `ext` is WebCrypto's, and says nothing of trust.
      const { ext: _, ...jwk } = key as JWK
      const { kid, alg, use = 'sig', key_ops: operations = ['verify'] } = jwk
      // `importJWK()` ignores `use`.
      if (use !== 'sig' || !operations.includes('verify')) continue
      const publicKey = await importJWK(jwk, alg ?? headerOf(token).alg as string)
      const { payload, protectedHeader } = await jwtVerify(token, publicKey, {
        issuer, audience: issuer, algorithms: ALGORITHMS, clockTolerance: 6, requiredClaims: ['exp']
      })
      const isOfKey = protectedHeader.kid === kid && (alg === undefined || isSame(alg, protectedHeader.alg))
      const isJwt = protectedHeader.typ === undefined || /^(?:application\/)?jwt$/i.test(protectedHeader.typ)
      const hasSubject = [payload.sub, payload.id].some(id => typeof id === 'string' && id !== '')
      if (isOfKey && isJwt && hasSubject) return true
    } catch {}
  }
  return false
}

/** The user of a token that jose accepts: `sub`, else `id`; `null` for one who is banned for ever. */
export function userOf (token: string): unknown {
  const { sub, id, banned, banExpires } = decodeJwt(token)
  const isBanned = (banned === true || banned === 1) && (banExpires === undefined || banExpires === null)
  return isBanned ? null : sub ?? id
}

/** Whose session cookie it is, if the shared secret signs it, and the session has not ended; else `null`. */
export async function cookieUserOf (value: string, secret: string): Promise<string | null> {
  try {
    await compactVerify(value, Buffer.from(secret), { algorithms: ['HS256'] })
    const { payload } = await jwtVerify(value, Buffer.from(secret), { requiredClaims: ['exp'], clockTolerance: 6 })
    const { user, session } = payload as { user: { id: string }, session: { userId: string, expiresAt: string } }
    return user.id === session.userId && Date.parse(session.expiresAt) > Date.now() ? user.id : null
  } catch {
    return null
  }
}

/** RFC 9864 gives EdDSA with Ed25519 the name of its curve: keys and tokens may use either. */
function isSame (...algs: string[]): boolean {
  return new Set(algs.map(alg => alg === 'Ed25519' ? 'EdDSA' : alg)).size === 1
}

function headerOf (token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as Record<string, unknown>
}
