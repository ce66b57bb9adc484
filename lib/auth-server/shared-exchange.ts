import { setTimeout } from 'node:timers/promises'
import { ExchangeUnavailableError } from '../contract/errors.js'
import type { ResolvedExchange } from '../contract/resolve-exchange.js'
import { createBoundedStore, StoreFailedError, type BoundedStoreContext } from './bounded-store.js'
import { createClientBudget } from './client-budget.js'
import type { ExchangeClient, ExchangeResult, Exchanging, OwnExchangeClient } from './exchange-client.js'
import { createExchangeVault, type Revoked, type SealedPlace } from './exchange-vault.js'
import { createSharedResults, type SharedResult } from './shared-results.js'

/** Exchanges once for all instances that share a store. */
export interface SharedExchangeClient extends ExchangeClient {
  /**
   * Makes results of exchanges that began before now stop for every instance that reads the store afterwards.
   *
   * @throws StoreFailedError
   */
  revoke (revoked: readonly Revoked[]): Promise<void>
}

export interface SharedExchangeContext extends BoundedStoreContext {
  readonly exchange: ResolvedExchange
}

/** How often an instance looks whether another one has finished, in milliseconds. */
const POLL_EVERY = 50
/**
 * How many unknown credentials that the store does not have may be looked up for each one that may be exchanged: random
 * credentials must not keep the store busy.
 */
const MISSES = 10
/** How much longer than an exchange the lease lasts, in milliseconds: the result is stored after the exchange. */
const STORING = 2000

/**
 * Looks into the shared store before the auth server is asked. One instance takes a lease and asks, and the others wait
 * for its result. A store that fails changes nothing else: then each instance asks by itself.
 */
export function shareExchanges (
  client: Omit<OwnExchangeClient, 'status'>, { exchange, log, now, random }: SharedExchangeContext
): SharedExchangeClient {
  const { shared, url, timeout, staleIfError, requestsPerMinute } = exchange
  const store = createBoundedStore(shared!.store, { log, now, random })
  const vault = createExchangeVault(shared!.secret, url)
  const results = createSharedResults({ exchange, store, vault, log, now })
  const misses = createClientBudget(MISSES * requestsPerMinute, now, 0)
  const leaseOf = ({ key }: SealedPlace) => `${key}:lease`

  function assertMayLook ({ address, isKnown }: Exchanging): void {
    const wait = isKnown ? 0 : misses.wait(address)
    if (wait > 0) throw new ExchangeUnavailableError(wait, 'exchange_budget')
  }

  /** @returns a result of another instance, or whether this instance has the lease. It has to ask in any case. */
  async function takeTurn (place: SealedPlace, exchanging: Exchanging): Promise<SharedResult | boolean> {
    const until = performance.now() + timeout
    do {
      const isMine = await store.add(leaseOf(place), '1', timeout + STORING)
      // Another instance may have finished between the last look and the lease.
      const result = await results.find(place, exchanging.token)
      if (result !== undefined && isUsable(result, exchanging)) {
        if (isMine) await store.delete(leaseOf(place))
        return result
      }
      if (isMine) return true
      await setTimeout(POLL_EVERY)
    } while (performance.now() < until)
    return false
  }

  function isUsable (result: SharedResult, { after, maxAge }: Exchanging, allowed = maxAge): boolean {
    return result.exchangedAt > after && (result.kind === 'refused' || now() - result.exchangedAt < allowed)
  }

  async function ask (exchanging: Exchanging, known: SharedResult | undefined): Promise<ExchangeResult> {
    try {
      const isKnown = exchanging.isKnown || known?.kind === 'token'
      return await client.exchange({ ...exchanging, isKnown })
    } catch (error) {
      if (known === undefined || !client.failing || !isUsable(known, exchanging, staleIfError)) throw error
      return known
    }
  }

  return {
    get failing () { return client.failing },
    isPausing: client.isPausing,
    async exchange (exchanging) {
      assertMayLook(exchanging)
      const place = vault.placeOf(exchanging.header)
      const known = await unlessFailed(results.find(place, exchanging.token))
      if (known !== undefined && isUsable(known, exchanging)) return known
      if (known === undefined) {
        if (!exchanging.isKnown) misses.take(exchanging.address)
        // Without a following exchange, a lease would only cost calls.
        client.assertMayExchange(exchanging)
      }
      const turn = client.isPausing() ? false : await unlessFailed(takeTurn(place, exchanging))
      if (typeof turn === 'object') return turn
      try {
        const result = await ask(exchanging, known)
        if (result !== known) await unlessFailed(results.keep(place, result))
        return result
      } finally {
        if (turn === true) await unlessFailed(store.delete(leaseOf(place)))
      }
    },
    revoke: results.revoke
  }
}

/** @returns `undefined` if the store failed. */
async function unlessFailed<T> (pending: Promise<T>): Promise<T | undefined> {
  try {
    return await pending
  } catch (error) {
    if (error instanceof StoreFailedError) return undefined
    throw error
  }
}
