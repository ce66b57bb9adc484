import { LRUCache } from 'lru-cache'
import { createBudget, SILENCE, type Budget } from './budget.js'

/** A budget that all clients share, so that those at one IP address cannot use it up. */
export interface ClientBudget {
  /** How many calls are left for all together. */
  readonly left: number
  /** Notes that there is a client at an IP address. A client without others may use the whole budget. */
  see (address: string | undefined): void
  /** 0 if a call is left for the clients at an IP address, or in how many milliseconds there may be one. */
  wait (address: string | undefined): number
  /** Takes a call. @returns the same as `wait()` before that. */
  take (address: string | undefined): number
}

/** The share of the budget that the clients at one IP address can use while there are others. */
const SHARE = 0.5
/** For how long other IP addresses count, in milliseconds. Behind a proxy without `trustProxy`, there is only one. */
const OTHERS_FOR = 600_000
const MAX_ADDRESSES = 1000

/** @param silence - as for a budget, of all clients together. */
export function createClientBudget (perMinute: number, now: () => number, silence = SILENCE): ClientBudget {
  const all = createBudget(perMinute, now, silence)
  const shares = new LRUCache<string, Budget>({ max: MAX_ADDRESSES })
  let lastClient = ''
  // Never.
  let lastSeenAt = Infinity
  let othersSeenAt = Infinity

  /** A clock that was set back ends it: there is still the budget of all. */
  function isRecent (time: number): boolean {
    return Math.abs(now() - time) < OTHERS_FOR
  }

  function see (address: string | undefined): void {
    const client = clientOf(address)
    if (client !== lastClient && isRecent(lastSeenAt)) othersSeenAt = now()
    lastClient = client
    lastSeenAt = now()
  }

  function shareOf (address: string | undefined): Budget {
    const client = clientOf(address)
    const known = shares.get(client)
    if (known !== undefined) return known
    const share = createBudget(perMinute * SHARE, now)
    shares.set(client, share)
    return share
  }

  function wait (address: string | undefined): number {
    see(address)
    return (isRecent(othersSeenAt) ? shareOf(address).wait() : 0) || all.wait()
  }

  return {
    get left () { return all.left },
    see,
    wait,
    take (address) {
      const closedFor = wait(address)
      if (closedFor === 0) {
        shareOf(address).take()
        all.take()
      }
      return closedFor
    }
  }
}

/** A client with an IPv6 address has all 2^64 of its network. Without a request, there is no address. */
export function clientOf (address: string | undefined): string {
  if (address === undefined) return ''
  if (!address.includes(':') || address.includes('.')) return address
  return address.split('::', 1)[0]!.split(':').slice(0, 4).join(':')
}
