/** How access tokens that are bound to a key of their client (DPoP, RFC 9449) are accepted. */
export interface DpopOptions {
  /**
   * Whether OAuth clients must use DPoP. With `true`, the plugin refuses access tokens that are not bound to a key.
   * The tokens of users themselves, session cookies and API keys are accepted as before.
   *
   * Default: `false`.
   */
  required?: boolean | undefined
  /**
   * How old a proof may be, by its `iat`: from `1000` to `3600000`. The clock of a client may be 5 seconds ahead.
   *
   * Default: `300000` (5 minutes).
   */
  maxProofAge?: number | undefined
  /**
   * Where the plugin remembers used proofs, so that each is accepted once. Several instances of an API need a shared
   * store, such as Redis. If it fails, the response is 503.
   *
   * Default: the memory of this instance, up to 500,000 proofs.
   */
  replayStore?: DpopReplayStore | undefined
  /**
   * Further origins at which clients reach this API, such as `https://api.example.org`. The origin of the `htu` of a
   * proof must be that of `resource.url`, one of these, or the one that Fastify sees, if its host is one of theirs or
   * is `localhost`.
   *
   * Default: `[]`.
   */
  origins?: readonly string[] | undefined
}

/**
 * Remembers the proofs that were used (RFC 9449 §11.1). Better Auth's `DpopReplayStore` is the same interface, so its
 * `createDpopReplayStore()` fits. If the method throws, rejects, returns anything but a boolean, or takes longer than
 * `callbackTimeout`, the response is 503.
 *
 * @example
 * const replayStore: DpopReplayStore = {
 *   async reserve ({ key, expiresAt, now }) {
 *     const ttl = Math.max(1, expiresAt.getTime() - now.getTime())
 *     const expiration = { type: 'PX', value: ttl } as const
 *     return await redis.set(`dpop:${key}`, '1', { condition: 'NX', expiration }) === 'OK'
 *   }
 * }
 */
export interface DpopReplayStore {
  /**
   * Remembers a proof until `expiresAt`. Of two calls with one key, only one returns `true`, even at the same time.
   *
   * @returns whether the proof was new.
   */
  reserve (reservation: DpopReservation): boolean | Promise<boolean>
}

/** One use of a proof. */
export interface DpopReservation {
  /** A hash that stands for the proof: 43 letters, digits, `-` and `_`. */
  readonly key: string
  /** Until when the store has to remember the proof: after that, the proof is too old to be used. */
  readonly expiresAt: Date
  /** The time of this instance. */
  readonly now: Date
}
