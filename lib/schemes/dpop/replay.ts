import { DpopProofInvalidError, DpopUnavailableError } from '../../contract/dpop-errors.js'
import type { DpopReplayStore, DpopReservation } from '../../contract/dpop-options.js'
import { isPending, settle } from '../../contract/settle.js'

/** About 80 MB: more than an instance verifies in 5 minutes. */
const MAX_PROOFS = 500_000

class ReplayStoreFullError extends Error {}

/**
 * Used proofs, in memory. Those that expire in one second are listed together, so that a turn of the clock costs no
 * walk through all of them.
 *
 * @param max - how many proofs it holds. If it is full, it forgets nothing and refuses: else a flood would make an old
 * proof new again.
 */
export function createMemoryReplayStore (max = MAX_PROOFS): DpopReplayStore {
  const used = new Set<string>()
  const bySecond = new Map<number, string[]>()
  let sweptAt = -Infinity

  function sweep (second: number): void {
    sweptAt = second
    for (const [expires, keys] of bySecond) {
      if (expires >= second) continue
      for (const key of keys) used.delete(key)
      bySecond.delete(expires)
    }
  }

  return {
    reserve ({ key, expiresAt, now }) {
      const second = secondOf(now)
      if (second !== sweptAt) sweep(second)
      if (used.has(key)) return false
      if (used.size >= max) throw new ReplayStoreFullError()
      used.add(key)
      const expires = secondOf(expiresAt)
      const keys = bySecond.get(expires)
      if (keys === undefined) bySecond.set(expires, [key])
      else keys.push(key)
      return true
    }
  }
}

function secondOf (date: Date): number {
  return Math.floor(date.getTime() / 1000)
}

/**
 * Asks a store whether a proof is new. Only `true` says so.
 *
 * @param timeout - milliseconds.
 * @returns a function that throws, or rejects with, DpopProofInvalidError for a used proof, and DpopUnavailableError if
 * the store fails.
 */
export function createReplayGuard (
  store: DpopReplayStore, timeout: number
): (reservation: DpopReservation) => void | Promise<void> {
  return reservation => {
    let returned: unknown
    try {
      returned = store.reserve(reservation)
    } catch (error) {
      failed(error)
    }
    if (!isPending(returned)) return judge(returned)
    return settle('dpop.replayStore.reserve()', returned, timeout).then(judge, failed)
  }
}

function judge (isNew: unknown): void {
  if (isNew === false) throw new DpopProofInvalidError('proof_replayed')
  if (isNew !== true) failed(new TypeError('dpop.replayStore.reserve() must return true or false'))
}

function failed (cause: unknown): never {
  throw cause instanceof ReplayStoreFullError
    ? new DpopUnavailableError('replay_store_full')
    : new DpopUnavailableError('replay_unavailable', cause)
}
