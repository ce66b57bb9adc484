import { inspect } from 'node:util'
import type { Algorithm } from '../contract/options.js'
import {
  createKeySigner, createKeySignerSync, createSecretSigner, randomSecret, type Signer, type TestAlgorithm
} from './signers.js'

/** The keys of one issuer. All of them can sign, and those of the JWKS are published; a secret never is. */
export interface KeyRing {
  /** Signs new tokens. */
  readonly current: Signer
  /** Never published, to sign forged tokens. */
  readonly forger: Signer
  /** The key that a forged token names: the current one, unless revoked. */
  readonly impersonated: Signer
  /** The published keys, as the JWKS shows them. */
  jwks (): unknown[]
  /** @throws TypeError for an unknown `kid`. */
  find (kid: string): Signer
  /** @throws TypeError for HS256. */
  rotate (): Promise<Signer>
  /** @throws TypeError for an unknown `kid`, and for HS256. */
  revoke (kid: string | undefined): void
}

export async function createKeyRing (algorithm: TestAlgorithm, secret: string): Promise<KeyRing> {
  const createSigner = async (secret: string) => {
    return algorithm === 'HS256' ? createSecretSigner(secret) : createKeySigner(algorithm)
  }

  const [first, forger] = await Promise.all([createSigner(secret), createSigner(randomSecret())])
  const signers = [first]
  const published = new Set(signers)
  let current = first

  function find (kid: string): Signer {
    const signer = signers.find(known => known.kid === kid)
    if (signer === undefined) throw new TypeError(`This issuer has no key ${inspect(kid)}`)
    return signer
  }

  function keyAlgorithm (method: string): Algorithm {
    if (algorithm === 'HS256') throw new TypeError(`${method}() needs keys in a JWKS, but HS256 uses a secret`)
    return algorithm
  }

  return {
    forger,
    get current () { return current },
    // The `kid` of a revoked key would be refused as unknown.
    get impersonated () { return published.has(current) ? current : [...published].at(-1)! },
    jwks: () => [...published].flatMap(({ jwk }) => jwk ?? []),
    find,
    async rotate () {
      current = await createKeySigner(keyAlgorithm('rotate'))
      signers.push(current)
      published.add(current)
      return current
    },
    revoke (kid) {
      const algorithm = keyAlgorithm('revoke')
      published.delete(kid === undefined ? current : find(kid))
      if (published.size === 0) published.add(createKeySignerSync(algorithm))
    }
  }
}
