import { randomBytes } from 'node:crypto'
import { createClaims, createSigningKey, encode, signJws } from '../test/fixtures/signing.js'
import { startChild, type Child } from './child.js'
import type { JwksAnswer, JwksHello, JwksState } from './issuer.js'

export const ALGORITHMS = ['EdDSA', 'ES256', 'RS256'] as const
export type Algorithm = typeof ALGORITHMS[number]

/** An issuer. Its JWKS server is another process, its private keys are in this one. */
export interface Issuer {
  readonly alg: Algorithm
  readonly origin: string
  readonly jwks: Child<JwksHello, Partial<JwksState>, JwksAnswer>
  /** Signs tokens with Better Auth's default claims, each for another user, with its keys in turn. */
  sign (count: number): string[]
}

/** Starts an issuer, and stops it after the work. */
export async function withIssuer<Result> (
  alg: Algorithm, keyCount: number, work: (issuer: Issuer) => Promise<Result>
): Promise<Result> {
  const keys = Array.from({ length: keyCount }, () => createSigningKey(alg))
  const state = { keys: keys.map(({ jwk }) => jwk), delay: 0 } satisfies JwksState
  const jwks: Issuer['jwks'] = await startChild('issuer.ts', state)
  const { origin } = jwks.hello
  try {
    return await work({
      alg,
      origin,
      jwks,
      sign: count => Array.from({ length: count }, (_, i) => signJws(keys[i % keyCount]!, createUserClaims(origin)))
    })
  } finally {
    await jwks.stop()
  }
}

/**
 * A function that returns a new forgery of a token at each call: another user, below the signature of the token. The
 * form and `kid` are valid, and the signature is one that the key made, so that its verification takes all its time.
 */
export function createForger (token: string): () => string {
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
  let count = 0
  return () => {
    const id = String(count++).padStart(32, '0')
    return `${header}.${encode({ ...claims, id, sub: id })}.${signature}`
  }
}

function createUserClaims (origin: string): Record<string, unknown> {
  const id = randomBytes(16).toString('hex')
  const now = new Date()
  return createClaims(origin, {
    id,
    sub: id,
    name: 'Ada Lovelace',
    email: `${id.slice(0, 12)}@example.com`,
    createdAt: now.toISOString(),
    updatedAt: now.toISOString(),
    // A day: no token may expire during a measurement.
    exp: Math.floor(now.getTime() / 1000) + 86_400
  })
}
