import { hash } from 'node:crypto'
import type { VerificationKey } from '../keys/jwk.js'
import type { Jws } from './jws.js'

/** Remembers tokens whose signature is valid, by a digest, in memory of a fixed size. */
export interface VerifiedSignatures {
  /** Whether this key has verified the signature of this very token. */
  has (jws: Jws, key: VerificationKey): boolean
  add (jws: Jws, key: VerificationKey): void
}

/** The whole SHA-256 of the token: two tokens with the same digest cannot be found. */
const DIGEST_LENGTH = 32
/** The bytes of a signature that choose a slot, and the bytes after them, which rule out most other tokens. */
const PREFIX_LENGTH = 8

/**
 * Each token has one slot, chosen by its signature, and takes the place of the token that was there. So nothing has to
 * be kept in order, and a token that is never used again leaves no object for the garbage collector.
 */
export function createVerifiedSignatures (slots: number): VerifiedSignatures {
  const keys = new Array<VerificationKey | undefined>(slots)
  const tags = new Int32Array(slots)
  const digests = Buffer.alloc(slots * DIGEST_LENGTH)

  return {
    has ({ token, signature }, key) {
      if (signature.length < PREFIX_LENGTH) return false
      const slot = signature.readUInt32LE(0) % slots
      if (keys[slot] !== key || tags[slot] !== signature.readInt32LE(4)) return false
      const start = slot * DIGEST_LENGTH
      return digests.compare(digest(token), 0, DIGEST_LENGTH, start, start + DIGEST_LENGTH) === 0
    },
    add ({ token, signature }, key) {
      const slot = signature.readUInt32LE(0) % slots
      keys[slot] = key
      tags[slot] = signature.readInt32LE(4)
      digests.set(digest(token), slot * DIGEST_LENGTH)
    }
  }
}

function digest (token: string): Buffer {
  return hash('sha256', token, 'buffer')
}
