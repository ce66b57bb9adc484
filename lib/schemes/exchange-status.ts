import type { OwnExchangeClient } from '../auth-server/exchange-client.js'
import type { FetchFailure } from '../contract/fetch-failures.js'
import type { ExchangedTokens } from '../tokens/exchanged-tokens.js'

/** The state of the option `exchange` as plain data. It holds nothing about a credential. */
export interface ExchangeStatus {
  /** How many sessions the instance remembers, up to `exchange.max`. */
  sessions: number
  /** How many credentials that it does not know may be exchanged now: what is left of `exchange.requestsPerMinute`. */
  remainingBudget: number
  /**
   * Why the last exchange failed, as a stable word (`timeout`, `connection_refused`, `http_5xx`, …), or `null` if it
   * did not. `docs/reference/keys.md` lists the words.
   */
  lastError: FetchFailure | null
  /** When the auth server last judged a credential, in ISO 8601, or `null`. A refusal is a success of the exchange. */
  lastSuccessAt: string | null
  /** When an exchange last failed, in ISO 8601, or `null`. */
  lastFailureAt: string | null
  /**
   * The time before which nothing is exchanged after a failure, in ISO 8601, or `null`. A failure that concerns one
   * credential only causes no pause.
   */
  nextTryAt: string | null
}

export function readExchangeStatus (sessions: ExchangedTokens, client: OwnExchangeClient): ExchangeStatus {
  const { budget, lastError, lastSuccessAt, lastFailureAt, nextTryAt } = client.status()
  return {
    sessions: sessions.size,
    remainingBudget: budget,
    lastError,
    lastSuccessAt: toIso(lastSuccessAt),
    lastFailureAt: toIso(lastFailureAt),
    nextTryAt: toIso(nextTryAt)
  }
}

function toIso (time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString()
}
