import { DpopProofInvalidError, DpopUnavailableError } from '../../contract/dpop-errors.js'
import type { DpopReplayStore, DpopReservation } from '../../contract/dpop-options.js'
import { isPending, settle } from '../../contract/settle.js'

/** About 50 MB. */
const MAX_PROOFS = 500_000
/** In milliseconds. Proofs that expire in one window are forgotten together: to forget each alone takes too long. */
const WINDOW = 30_000

class ReplayStoreFullError extends Error {}

/**
 * Used proofs, in memory.
 *
 * @param max - how many proofs it holds. If it is full, it forgets nothing and refuses: otherwise a flood would make
 * an old proof new again.
 */
export function createMemoryReplayStore (max = MAX_PROOFS): DpopReplayStore {
  /** By the window in which they expire: a few, however many proofs there are. */
  const windows = new Map<number, Set<string>>()

  function isUsed (key: string): boolean {
    for (const keys of windows.values()) if (keys.has(key)) return true
    return false
  }

  /** Forgets what has expired, and counts the rest. */
  function sweep (current: number): number {
    let count = 0
    for (const [window, keys] of windows) {
      if (window < current) windows.delete(window)
      else count += keys.size
    }
    return count
  }

  return {
    reserve ({ key, expiresAt, now }) {
      const count = sweep(windowOf(now))
      if (isUsed(key)) return false
      if (count >= max) throw new ReplayStoreFullError()
      const window = windowOf(expiresAt)
      const keys = windows.get(window)
      if (keys === undefined) windows.set(window, new Set([key]))
      else keys.add(key)
      return true
    }
  }
}

function windowOf (date: Date): number {
  return Math.floor(date.getTime() / WINDOW)
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
