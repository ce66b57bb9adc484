import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { CredentialHeader } from './token-exchange.js'

/** Where the result for one credential is in the store, and how it is read and written. */
export interface SealedPlace {
  /** The key of the result. */
  readonly key: string
  seal (text: string): string
  /** @returns `undefined` for what `seal()` of the same place did not write. */
  open (sealed: string): string | undefined
}

/** What a marker of a revocation names; the empty id stands for the sessions that have none. */
export type Revoked = readonly [kind: 'user' | 'session' | 'token', id: string]

/** What the store may hold: neither a key nor a value of it shows a credential, a token, or an id of a person. */
export interface ExchangeVault {
  placeOf (credential: CredentialHeader): SealedPlace
  /** The key of the marker of a revocation. */
  markerOf (revoked: Revoked): string
}

const PREFIX = 'better-auth-fastify:'
const CIPHER = 'aes-256-gcm'
const [IV_BYTES, TAG_BYTES] = [12, 16]
const OPTIONS = { authTagLength: TAG_BYTES }

/**
 * Derives keys by HKDF (RFC 5869) from the shared secret and what is kept. The key of a result derives from the
 * credential as well: the secret alone opens nothing.
 *
 * @param url - where credentials are exchanged: what one auth server said does not count for another.
 */
export function createExchangeVault (secret: string, url: string): ExchangeVault {
  function derive (parts: readonly string[], purpose: string): Buffer {
    const material = JSON.stringify([url, ...parts])
    return Buffer.from(hkdfSync('sha256', material, secret, `better-auth-fastify exchange v1 ${purpose}`, 32))
  }

  return {
    placeOf ({ name, value }) {
      const key = PREFIX + derive([name, value], 'lookup').toString('base64url')
      const sealingKey = derive([name, value], 'seal')
      return {
        key,
        seal (text) {
          const iv = randomBytes(IV_BYTES)
          const cipher = createCipheriv(CIPHER, sealingKey, iv, OPTIONS)
          const sealed = [iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]
          return Buffer.concat(sealed).toString('base64url')
        },
        open (sealed) {
          const bytes = Buffer.from(sealed, 'base64url')
          if (bytes.length < IV_BYTES + TAG_BYTES) return undefined
          const decipher = createDecipheriv(CIPHER, sealingKey, bytes.subarray(0, IV_BYTES), OPTIONS)
          decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
          const text = decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8')
          try {
            return text + decipher.final('utf8')
          } catch {
            return undefined
          }
        }
      }
    },
    markerOf: revoked => `${PREFIX}revoked:${derive(revoked, 'revoked').toString('base64url')}`
  }
}
