import { compactVerify, importJWK, jwtVerify, type JWK } from 'jose'

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
      const { kid, alg } = jwk
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

/** What jose says of a session cookie that the shared secret signs. */
export async function isSignedBySecret (value: string, secret: string): Promise<boolean> {
  try {
    await compactVerify(value, Buffer.from(secret), { algorithms: ['HS256'] })
    const { payload } = await jwtVerify(value, Buffer.from(secret), { requiredClaims: ['exp'], clockTolerance: 6 })
    return typeof payload.user === 'object' && typeof payload.session === 'object'
  } catch {
    return false
  }
}

/** RFC 9864 gives EdDSA with Ed25519 the name of its curve: keys and tokens may use either. */
function isSame (...algs: string[]): boolean {
  return new Set(algs.map(alg => alg === 'Ed25519' ? 'EdDSA' : alg)).size === 1
}

function headerOf (token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as Record<string, unknown>
}
