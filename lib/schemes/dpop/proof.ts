import type { FastifyRequest } from 'fastify'
import { DpopProofInvalidError } from '../../contract/dpop-errors.js'
import type { DpopReservation } from '../../contract/dpop-options.js'
import { decodeSegment, parseObject, type JsonObject, type SignedInput } from '../../tokens/jws.js'
import type { SignatureChecks } from '../../tokens/signature-checks.js'
import { readProofKey, sha256, type ProofKey } from './proof-key.js'
import type { TargetCheck } from './target-uri.js'

/** What a proof is for: one request, with one token, by the owner of one key. */
export interface Proven {
  readonly request: FastifyRequest
  readonly token: string
  /** The thumbprint of the key that the token is bound to. */
  readonly boundTo: string
}

/**
 * Checks a proof (RFC 9449 §4.3), and uses it up. It is synchronous where possible, else it returns a promise, which
 * rejects with the same errors.
 *
 * @throws DpopProofInvalidError, DpopUnavailableError
 */
export type ProofCheck = (proof: string, proven: Proven) => void | Promise<void>

export interface ProofContext {
  readonly checks: SignatureChecks
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Milliseconds. */
  readonly maxProofAge: number
  readonly checkTarget: TargetCheck
  /** Reserves a proof that is valid in every other respect. */
  readonly reserve: (reservation: DpopReservation) => void | Promise<void>
}

/** A proof with its key. Nothing in it is verified yet. */
interface Proof extends SignedInput { readonly header: string, readonly key: ProofKey, readonly payload: Buffer }

/** The claims of a proof whose signature is valid (RFC 9449 §4.2), times in milliseconds. */
interface ProofClaims {
  readonly jti: string
  readonly htm: string
  readonly htu: string
  readonly ath: string
  readonly notBefore: number
  readonly expiresAt: number
}

/** The default limit of Node.js for all headers of a request: no legitimate proof is longer. */
const MAX_PROOF_LENGTH = 16_384
/** As Better Auth has it. */
const MAX_JTI_LENGTH = 512
/** How far the clock of a client may be ahead, and how far the clocks of instances with one store may differ. */
const CLOCK_SKEW = 5000
const MAX_SHOWN = 40
const MAX_KEYS = 1000
const MAX_HEADER_LENGTH = 2048

export function createProofCheck ({ checks, now, maxProofAge, checkTarget, reserve }: ProofContext): ProofCheck {
  // All proofs of a client have the same header. Only those with a valid signature, so that no attacker can fill it.
  const keys = new Map<string, ProofKey>()

  function remember ({ header, key }: Proof): void {
    if (header.length > MAX_HEADER_LENGTH || keys.has(header)) return
    if (keys.size === MAX_KEYS) keys.clear()
    keys.set(header, key)
  }

  function judge (proof: Proof, isSigned: boolean, { request, token }: Proven): void | Promise<void> {
    if (!isSigned) throw new DpopProofInvalidError('proof_signature_invalid')
    remember(proof)
    const claims = readClaims(parsed(proof.payload), maxProofAge)
    const { jti, htm, htu, ath } = claims
    const { method } = request
    if (htm !== method) {
      const received = htm.slice(0, MAX_SHOWN)
      throw new DpopProofInvalidError('proof_mismatch', { claim: 'htm', expected: [method], received })
    }
    const target = checkTarget(htu, request)
    if (ath !== sha256(token)) throw new DpopProofInvalidError('proof_mismatch', { claim: 'ath' })
    const time = now()
    checkTimes(claims, time)
    return reserve({
      // As Better Auth derives it.
      key: sha256([proof.key.thumbprint, htm, target, jti].join('\n')),
      expiresAt: new Date(claims.expiresAt + CLOCK_SKEW),
      now: new Date(time)
    })
  }

  return (text, proven) => {
    const proof = parseProof(text, keys)
    if (proof.key.thumbprint !== proven.boundTo) throw new DpopProofInvalidError('proof_key_mismatch')
    const isSigned = checks.check(proof, proof.key.publicKey)
    return isSigned instanceof Promise
      ? isSigned.then(verdict => judge(proof, verdict, proven))
      : judge(proof, isSigned, proven)
  }
}

function parseProof (text: string, known: ReadonlyMap<string, ProofKey>): Proof {
  const segments = text.length > MAX_PROOF_LENGTH ? [] : text.split('.', 4)
  if (segments.length !== 3) throw malformed()
  const [header, payload, signature] = segments as [string, string, string]
  const key = known.get(header) ?? readProofKey(parsed(decoded(header)))
  return {
    header,
    key,
    alg: key.alg,
    payload: decoded(payload),
    signature: decoded(signature),
    signingInput: Buffer.from(text.slice(0, -signature.length - 1), 'latin1')
  }
}

function readClaims (payload: JsonObject, maxProofAge: number): ProofClaims {
  const { jti } = payload
  const isJti = typeof jti === 'string' && jti !== '' && jti.length <= MAX_JTI_LENGTH && jti.isWellFormed()
  if (!isJti) throw invalid('jti')
  const [htm, htu, ath] = [textOf(payload, 'htm'), textOf(payload, 'htu'), textOf(payload, 'ath')]
  const iat = timeOf(payload, 'iat')
  const exp = payload.exp === undefined ? Infinity : timeOf(payload, 'exp')
  const nbf = payload.nbf === undefined ? -Infinity : timeOf(payload, 'nbf')
  return { jti, htm, htu, ath, notBefore: Math.max(iat, nbf), expiresAt: Math.min(iat + maxProofAge, exp) }
}

function checkTimes ({ notBefore, expiresAt }: ProofClaims, time: number): void {
  const seconds = (milliseconds: number) => ({ seconds: Math.round(milliseconds / 1000) })
  if (time < notBefore - CLOCK_SKEW) throw new DpopProofInvalidError('proof_not_active', seconds(notBefore - time))
  if (time >= expiresAt) throw new DpopProofInvalidError('proof_expired', seconds(time - expiresAt))
}

function textOf (payload: JsonObject, claim: string): string {
  const value = payload[claim]
  if (typeof value !== 'string' || value === '') throw invalid(claim)
  return value
}

/** Seconds since the epoch, whole or not (RFC 7519 §2), as milliseconds. */
function timeOf (payload: JsonObject, claim: string): number {
  const value = payload[claim]
  if (!Number.isFinite(value)) throw invalid(claim)
  return value as number * 1000
}

function decoded (segment: string): Buffer {
  try {
    return decodeSegment(segment)
  } catch {
    throw malformed()
  }
}

function parsed (bytes: Buffer): JsonObject {
  try {
    return parseObject(bytes)
  } catch {
    throw malformed()
  }
}

function invalid (claim: string): Error {
  return new DpopProofInvalidError('proof_claim_invalid', { claim })
}

function malformed (): Error {
  return new DpopProofInvalidError('proof_malformed')
}
