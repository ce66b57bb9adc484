import { JwksUnavailableError } from '../contract/errors.js'
import type { FetchFailure } from '../contract/fetch-failures.js'
import { createBackoff } from './backoff.js'
import type { Failure } from './failure.js'
import { JwksFetchError, type JwksSource } from './find-jwks.js'

/** Is notified how each fetch ended, and when an outage begins and ends. Times are milliseconds. */
export interface FetchObserver {
  /** @param code - why the fetch failed, or `null`. */
  fetched (url: string | null, code: FetchFailure | null, duration: number): void
  unreachable (url: string | null, since: number, failure: Failure): void
  reachable (downFor: number): void
}

/** A source that pauses after a failure. */
export interface PacedSource {
  readonly url: string | null
  /** Whether the last fetch failed. */
  readonly failing: boolean
  /** Why; `null` unless the last fetch failed. */
  readonly lastError: FetchFailure | null
  /**
   * The time before which no fetch should be made, in milliseconds since the epoch; `null` unless the last fetch
   * failed.
   */
  readonly nextTryAt: number | null
  /** Whether no fetch should be made now. */
  isPausing (): boolean
  /** For how many more milliseconds. */
  pauseLeft (): number
  /** The error for a request that would need a fetch during the pause. */
  unavailable (): JwksUnavailableError
  /**
   * Fetches the JWKS, as its source does.
   *
   * @throws JwksUnavailableError if the JWKS cannot be fetched.
   */
  fetchJwks (mayMove: boolean): Promise<readonly unknown[]>
}

/** @param random - from 0 up to 1. */
export function createPacedSource (
  source: JwksSource, observer: FetchObserver, now: () => number, random: () => number
): PacedSource {
  const backoff = createBackoff(now, random)
  let lastError: FetchFailure | null = null
  let failingSince = 0

  function failed (startedAt: number, failure: Failure & Pick<JwksFetchError, 'retryAfter'>): void {
    const { code, systemCode, retryAfter } = failure
    lastError = code
    if (!backoff.failing) {
      failingSince = startedAt
      observer.unreachable(source.url, startedAt, { code, systemCode })
    }
    backoff.fail(retryAfter)
    observer.fetched(source.url, code, now() - startedAt)
  }

  function succeeded (): void {
    if (!backoff.failing) return
    backoff.succeed()
    lastError = null
    observer.reachable(now() - failingSince)
  }

  function unavailable (): JwksUnavailableError {
    return new JwksUnavailableError(backoff.remaining())
  }

  return {
    get url () { return source.url },
    get failing () { return backoff.failing },
    get lastError () { return lastError },
    get nextTryAt () { return backoff.nextTryAt },
    isPausing: () => backoff.remaining() > 0,
    pauseLeft: () => backoff.remaining(),
    unavailable,
    async fetchJwks (mayMove) {
      const startedAt = now()
      try {
        const entries = await source.fetchJwks(mayMove)
        succeeded()
        observer.fetched(source.url, null, now() - startedAt)
        return entries
      } catch (error) {
        failed(startedAt, error instanceof JwksFetchError ? error : { code: 'unexpected', retryAfter: 0 })
        throw unavailable()
      }
    }
  }
}
