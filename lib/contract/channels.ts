import { channel } from 'node:diagnostics_channel'
import type { FetchFailure } from './fetch-failures.js'
import type { RefusalReason } from './reasons.js'

/**
 * The names of the channels, for `diagnostics_channel.subscribe()`. They belong to the process: `authUrl` tells
 * registrations apart. An error in a subscriber changes no response, but it is an uncaught exception, as with every
 * channel of Node.js.
 *
 * @example
 * subscribe(CHANNELS.verification, message => { count((message as VerificationMessage).outcome) })
 */
export const CHANNELS = {
  /** A {@link JwksFetchMessage} at the end of each fetch of the JWKS. */
  jwksFetch: 'better-auth-fastify:jwks-fetch',
  /** A {@link KeyChangeMessage} when a key of the auth server is found, replaced, removed or unusable. */
  keyChange: 'better-auth-fastify:key-change',
  /** A {@link VerificationMessage} whenever a request is authenticated, or `verify()` is called. */
  verification: 'better-auth-fastify:verification'
} as const

/** One fetch of the JWKS, including the search for its URL. */
export interface JwksFetchMessage {
  /** The Better Auth server of the registration: its option `authUrl`. */
  readonly authUrl: string
  /** The URL of the JWKS, or `null` until it has been found. */
  readonly url: string | null
  /** Whether the JWKS was fetched. {@link KeyChangeMessage} reports which keys it holds. */
  readonly outcome: 'ok' | 'error'
  /** Why the fetch failed, as in `status().lastError`; `null` if it did not. */
  readonly code: FetchFailure | null
  /** How long it took, in milliseconds. */
  readonly duration: number
}

/** A key that is trusted from now on, or no longer trusted. Confirming a known key is not a change. */
export interface KeyChangeMessage {
  readonly authUrl: string
  readonly kid: string
  /**
   * `found`: a new `kid`. `replaced`: other keys under a known `kid`. `removed`: a known `kid` has left the JWKS.
   * `unusable`: a known key is still in the JWKS, but must not be used any more.
   */
  readonly change: 'found' | 'replaced' | 'removed' | 'unusable'
}

/**
 * The result of `authenticate`, `authenticateOptional` or `fastify.betterAuth.verify()`, before the conditions of a
 * guard are judged. `request.jwtVerify()` is not reported.
 */
export interface VerificationMessage {
  readonly authUrl: string
  /**
   * The credential of the request: a bearer token (also one from `extractToken` or of `verify()`), an access token with
   * a DPoP proof, a session cookie, an API key, or none.
   */
  readonly credential: 'bearer' | 'dpop' | 'cookie' | 'api-key' | null
  /** `anonymous`: the request has no credential, and the route allows that. */
  readonly outcome: 'accepted' | 'refused' | 'anonymous'
  /** The reason word of the log; `null` unless refused. */
  readonly reason: RefusalReason | null
  /** Whether the token had been verified before, or exchanged recently, so that neither was done again. */
  readonly cached: boolean
}

// Without subscribers, a channel costs one read of `hasSubscribers`: read it before you build a message.
export const jwksFetchChannel = channel(CHANNELS.jwksFetch)
export const keyChangeChannel = channel(CHANNELS.keyChange)
export const verificationChannel = channel(CHANNELS.verification)
