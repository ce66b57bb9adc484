import { channel } from 'node:diagnostics_channel'
import type { FastifyRequest } from 'fastify'
import { isBetterAuthError, type RefusalReason } from './errors.js'

/**
 * The names of the channels, for `diagnostics_channel.subscribe()`. They are of the process: `authUrl` tells registrations apart.
 * What a listener throws changes no answer, but is an uncaught exception, as with every channel of Node.js.
 */
export const CHANNELS = {
  /** A {@link JwksFetchMessage} at the end of each fetch of the JWKS. */
  jwksFetch: 'better-auth-fastify:jwks-fetch',
  /** A {@link KeyChangeMessage} when a key of the auth server is found, replaced, removed or unusable. */
  keyChange: 'better-auth-fastify:key-change',
  /** A {@link VerificationMessage} each time that a request is asked who it comes from. */
  verification: 'better-auth-fastify:verification'
} as const

/** One fetch of the JWKS, the search for its address included. */
export interface JwksFetchMessage {
  /** The Better Auth server of the registration, as its option `authUrl` says. */
  readonly authUrl: string
  /** The address of the JWKS, or `null` while it has not been found. */
  readonly url: string | null
  /** Whether the JWKS could be had; whether it held the key is a matter of {@link KeyChangeMessage}. */
  readonly outcome: 'ok' | 'error'
  /** Why it could not be had, as `status().lastError` says (`timeout`, `ECONNREFUSED`, `no_jwks`, …); `null` if it could. */
  readonly code: string | null
  /** How long it took, in milliseconds. */
  readonly duration: number
}

/** A key that is trusted from now on, or no longer. One that is merely confirmed is no change, nor is one that nobody asks for any more. */
export interface KeyChangeMessage {
  readonly authUrl: string
  readonly kid: string
  /**
   * `found`: a key that was not known. `replaced`: other key material under a known `kid`. `removed`: a known key has left the
   * JWKS. `unusable`: a known key is still there, but must not be used any more.
   */
  readonly change: 'found' | 'replaced' | 'removed' | 'unusable'
}

/**
 * What `authenticate` or `authenticateOptional` found out about a request, before a guard of `authorize` had its say.
 * `request.jwtVerify()` is not reported.
 */
export interface VerificationMessage {
  readonly authUrl: string
  /** What the request brought: a bearer token (that of `extractToken` too), the session cookie, or neither. */
  readonly credential: 'bearer' | 'cookie' | null
  /** `visitor`: nothing was brought where that is allowed. */
  readonly outcome: 'accepted' | 'refused' | 'visitor'
  /** The reason word of the log; `null` unless refused. */
  readonly reason: RefusalReason | null
  /** Whether the token had been verified before, so that its signature was not checked again. */
  readonly cached: boolean
}

/** Publishing costs one look at `hasSubscribers` while nobody listens: ask for it before a message is made. */
export const jwksFetchChannel = channel(CHANNELS.jwksFetch)
export const keyChangeChannel = channel(CHANNELS.keyChange)
export const verificationChannel = channel(CHANNELS.verification)

/** What a verification notes down for whoever listens. */
export interface Trace { credential: VerificationMessage['credential'], cached: boolean }

/** Runs a verification and publishes what came of it. What it throws or rejects with goes on as it is. */
export function publishVerification (
  authUrl: string, request: FastifyRequest, verify: (request: FastifyRequest, trace: Trace) => void | Promise<void>
): void | Promise<void> {
  const trace: Trace = { credential: null, cached: false }

  function publish (outcome: VerificationMessage['outcome'], reason: RefusalReason | null): void {
    verificationChannel.publish({ authUrl, ...trace, outcome, reason } satisfies VerificationMessage)
  }
  function passed (): void {
    publish(trace.credential === null ? 'visitor' : 'accepted', null)
  }
  function failed (error: unknown): never {
    publish('refused', isBetterAuthError(error) ? error.reason : null)
    throw error
  }

  let pending
  try {
    pending = verify(request, trace)
  } catch (error) {
    return failed(error)
  }
  if (pending !== undefined) return pending.then(passed, failed)
  passed()
}
