import { BetterAuthError } from './errors.js'
import type { ReasonOf } from './reasons.js'
import type { RefusalDetails } from './refusal-details.js'

/** 401: the DPoP proof of the request is missing, invalid or used (RFC 9449 §7.1, `invalid_dpop_proof`). */
export class DpopProofInvalidError extends BetterAuthError<'FST_BETTER_AUTH_DPOP_PROOF_INVALID'> {
  constructor (reason: ReasonOf<'FST_BETTER_AUTH_DPOP_PROOF_INVALID'>, details: RefusalDetails = {}) {
    super('FST_BETTER_AUTH_DPOP_PROOF_INVALID', reason, { details })
  }
}

/** 503: nobody can tell now whether a DPoP proof is new. `cause` is what the replay store threw. */
export class DpopUnavailableError extends BetterAuthError<'FST_BETTER_AUTH_DPOP_UNAVAILABLE'> {
  constructor (reason: ReasonOf<'FST_BETTER_AUTH_DPOP_UNAVAILABLE'>, cause?: unknown) {
    super('FST_BETTER_AUTH_DPOP_UNAVAILABLE', reason, { cause, retryAfter: 5000 })
  }
}
