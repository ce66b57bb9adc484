import type { FastifyRequest } from 'fastify'
import { DpopProofInvalidError } from '../../contract/dpop-errors.js'
import { RequestInvalidError } from '../../contract/errors.js'
import type { ResolvedDpop } from '../../contract/resolve-dpop.js'
import type { ResolvedOptions } from '../../contract/resolve-options.js'
import { boundTokenProfile } from '../../tokens/access-token.js'
import type { OAuthPrincipal } from '../../tokens/principal.js'
import type { UserReader } from '../../tokens/user-reader.js'
import type { VerifiedToken } from '../../tokens/verified-token.js'
import { createVerifier, type Trace, type Verifier, type VerifierContext } from '../../tokens/verifier.js'
import { countHeaders } from '../bearer.js'
import type { Scheme } from '../scheme.js'
import { createProofCheck, type ProofCheck } from './proof.js'
import { createMemoryReplayStore, createReplayGuard } from './replay.js'
import { createTargetCheck } from './target-uri.js'

type ExtractToken = ResolvedOptions['extractToken']

/** What a request presented, and the result. */
interface Presented {
  readonly token: string
  readonly proof: string
  readonly verified: VerifiedToken | Promise<VerifiedToken>
}

/** The scheme of access tokens that are bound to a key of their client (RFC 9449 §7.1), for one registration. */
export function createDpopScheme (
  dpop: ResolvedDpop, options: ResolvedOptions, readUser: UserReader, context: VerifierContext
): Scheme {
  const { maxProofAge, origins, replayStore = createMemoryReplayStore() } = dpop
  const { checks, now } = context
  return dpopScheme(
    createVerifier(boundTokenProfile(options, readUser), options, context),
    createProofCheck({
      checks,
      now,
      maxProofAge,
      checkTarget: createTargetCheck(origins),
      reserve: createReplayGuard(replayStore, options.callbackTimeout)
    })
  )
}

/** @param verifier - accepts bound tokens only. */
export function dpopScheme (verifier: Verifier, checkProof: ProofCheck): Scheme {
  /** A proof counts once, and a request may have several hooks that authenticate it. */
  const presented = new WeakMap<FastifyRequest, Presented>()

  function verify (
    request: FastifyRequest, token: string, proof: string, trace: Trace | undefined
  ): VerifiedToken | Promise<VerifiedToken> {
    // The token first: until it is valid, nobody knows whose key the proof must have.
    const found = verifier.verify(token, trace)
    return found instanceof Promise
      ? found.then(verified => prove(request, proof, verified))
      : prove(request, proof, found)
  }

  function prove (
    request: FastifyRequest, proof: string, verified: VerifiedToken
  ): VerifiedToken | Promise<VerifiedToken> {
    const { boundTo } = verified.principal as OAuthPrincipal
    const pending = checkProof(proof, { request, token: verified.token, boundTo: boundTo! })
    return pending === undefined ? verified : pending.then(() => verified)
  }

  /** The proof counts for the whole request, but a connection may outlive the token or its key. */
  function again ({ token, verified }: Presented, trace: Trace | undefined): VerifiedToken | Promise<VerifiedToken> {
    return verified instanceof Promise
      ? verified.then(() => verifier.verify(token, trace))
      : verifier.verify(token, trace)
  }

  return {
    name: 'dpop',
    verifier,
    find (request) {
      const token = dpopToken(request)
      if (token === undefined) return undefined
      return {
        verify (trace) {
          const proof = proofOf(request)
          const known = presented.get(request)
          if (known?.token === token && known.proof === proof) return again(known, trace)
          const verified = verify(request, token, proof, trace)
          presented.set(request, { token, proof, verified })
          return verified
        }
      }
    }
  }
}

/** Whether the `Authorization` header has the scheme `DPoP`, well-formed or not. */
export function usesDpop ({ headers: { authorization } }: FastifyRequest): boolean {
  return typeof authorization === 'string' && /^dpop(?![^ \t])/i.test(authorization)
}

/** The option `extractToken`, but not for requests with the scheme `DPoP`: the header has the token. */
export function exceptDpop (extractToken: ExtractToken): ExtractToken {
  return extractToken && (request => usesDpop(request) ? undefined : extractToken(request))
}

/**
 * The token in the `Authorization` header (RFC 9449 §7.1).
 *
 * @returns `undefined` without the header or with another scheme.
 * @throws RequestInvalidError if the header is malformed.
 */
function dpopToken (request: FastifyRequest): string | undefined {
  if (!usesDpop(request)) return undefined
  const token = /^dpop +([^ \t]+)[ \t]*$/i.exec(request.headers.authorization!)?.[1]
  // Two headers can name two users, and Node.js shows only the first.
  if (token === undefined || countHeaders(request, 'authorization') > 1) throw new RequestInvalidError()
  return token
}

/** @throws DpopProofInvalidError without a `DPoP` header, or with several (RFC 9449 §4.3). */
function proofOf (request: FastifyRequest): string {
  const { dpop: proof } = request.headers
  if (proof === undefined) throw new DpopProofInvalidError('proof_missing')
  // Node.js joins several headers of this name.
  if (typeof proof !== 'string' || countHeaders(request, 'dpop') > 1) throw new DpopProofInvalidError('proof_malformed')
  return proof
}
