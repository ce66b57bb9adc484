import { ExchangeUnavailableError } from '../contract/errors.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { ResolvedExchange } from '../contract/resolve-exchange.js'
import { SILENCE } from './budget.js'
import { createClientBudget } from './client-budget.js'
import { createExchangeHealth, type ExchangeHealthContext, type HealthStatus } from './exchange-health.js'
import { exchangeUrl } from './exchange-url.js'
import { exchangeToken, type CredentialHeader, type ExchangeResponse } from './token-exchange.js'
import type { Transport } from './transport.js'

/** A credential that is to be exchanged. */
export interface Exchanging {
  readonly header: CredentialHeader
  /** The IP address of the client, for `forwardedFor` and its share of the budget; `undefined` without a request. */
  readonly address: string | undefined
  /** Whether this instance knows the session already; if not, the exchange counts for the budget. */
  readonly isKnown: boolean
  /** The session token without a signature, or the API key. */
  readonly token: string
  /** For how long a result of another instance counts, in milliseconds. */
  readonly maxAge: number
  /** Only a result of an exchange that began after this counts, in milliseconds since the epoch. */
  readonly after: number
}

/** The verdict of the auth server on a credential. */
export type ExchangeResult = Exclude<ExchangeResponse, { readonly kind: 'failed' }> & {
  /** When the exchange began, in milliseconds since the epoch. */
  readonly exchangedAt: number
  /** Whether another instance has made the exchange. */
  readonly isShared?: boolean
}

/** Exchanges credentials at one auth server, and pauses after a failure. */
export interface ExchangeClient {
  /** Whether the last exchange failed, and not because of its own credential. */
  readonly failing: boolean
  /** Whether no exchange should be made now: after a failure, one exchange at a time finds out whether it is over. */
  isPausing (): boolean
  /** @throws ExchangeUnavailableError if the auth server gives no verdict, or may not be asked now. */
  exchange (exchanging: Exchanging): Promise<ExchangeResult>
}

/** The client of one instance, without a shared store. */
export interface OwnExchangeClient extends ExchangeClient {
  /** @throws ExchangeUnavailableError if `exchange()` would throw it without a call. */
  assertMayExchange (exchanging: Exchanging): void
  status (): ExchangeClientStatus
}

export interface ExchangeClientStatus extends HealthStatus {
  /** How many unknown credentials may be exchanged now. */
  readonly budget: number
}

export interface ExchangeClientContext extends ExchangeHealthContext {
  readonly exchange: ResolvedExchange
  /** The option `jwks.headers`: whatever stands in front of the JWKS also stands in front of the exchange. */
  readonly headers: ResolvedOptions['jwks']['headers']
  /** The URL of the JWKS, or `null` if it cannot be found. It throws nothing. */
  readonly findJwks: () => Promise<string | null>
  /** HTTP unless told. */
  readonly transport?: Transport | undefined
}

/** The shortest time after which another attempt makes sense, in milliseconds. */
const MIN_RETRY_AFTER = 1000

export function createExchangeClient (context: ExchangeClientContext): OwnExchangeClient {
  const { exchange, headers, findJwks, transport, now } = context
  const { timeout, requestsPerMinute, forwardedFor } = exchange
  const health = createExchangeHealth(context)
  // With `forwardedFor`, the auth server counts each client on its own: a silence of all clients is not needed.
  const needsSilence = !forwardedFor && transport?.isLocal !== true
  const budget = createClientBudget(requestsPerMinute, now, needsSilence ? SILENCE : 0)
  let running = 0

  function isPausing (): boolean {
    return health.remaining() > 0 || (health.failing && running > 0)
  }

  function unavailable (exchanging: Exchanging): ExchangeUnavailableError {
    return new ExchangeUnavailableError(Math.max(MIN_RETRY_AFTER, health.remainingFor(exchanging)))
  }

  function assertMayExchange (exchanging: Exchanging): void {
    const { address, isKnown } = exchanging
    budget.see(address)
    if (isPausing() || health.remainingFor(exchanging) > 0) throw unavailable(exchanging)
    const wait = isKnown ? 0 : budget.wait(address)
    if (wait > 0) throw new ExchangeUnavailableError(wait, 'exchange_budget')
  }

  return {
    get failing () { return health.failing },
    isPausing,
    assertMayExchange,
    async exchange (exchanging) {
      assertMayExchange(exchanging)
      const { header, address, isKnown } = exchanging
      if (!isKnown) budget.take(address)
      const isProbe = health.failing
      const exchangedAt = now()
      const { successes } = health
      running++
      try {
        const url = exchangeUrl(exchange, exchange.root === undefined ? null : await findJwks())
        const response = await exchangeToken({
          url,
          confirmRefusal: isKnown || health.isDoubtful(),
          credential: header,
          headers,
          forwardedFor: forwardedFor ? address : undefined,
          timeout,
          transport
        })
        // Many that fail together are one failure, with one pause.
        if (response.kind !== 'failed' || isProbe || !health.failing) {
          health.report(response, exchanging, url, successes)
        }
        if (response.kind === 'failed') throw unavailable(exchanging)
        return { ...response, exchangedAt }
      } finally {
        running--
      }
    },
    status: () => ({ ...health.status(), budget: budget.left })
  }
}
