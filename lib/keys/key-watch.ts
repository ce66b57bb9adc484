import type { SetTimer } from '../contract/timers.js'
import type { VerificationKey } from './jwk.js'

/** What somebody needs who waits for the end of a key. */
export interface WatchedKeys {
  /** Why a key that `get` returned must not be used any more; `null` while it may be used, or may be in an outage. */
  lossOf (key: VerificationKey): KeyLoss | null
  /** Milliseconds until the keys are no longer fresh, or until the pause after a failure is over. */
  refreshIn (): number
  /** Fetches the JWKS. @throws JwksUnavailableError if it cannot be fetched. */
  refresh (): Promise<void>
  /** Calls a function whenever another set of keys has taken the place of the one before. */
  onReplaced (listener: () => void): void
}

/** `key_removed`: it has left the JWKS. `jwks_unavailable`: it was confirmed too long ago, and cannot be now. */
export type KeyLoss = 'key_removed' | 'jwks_unavailable'

/** Keeps the keys fresh while somebody waits for the end of one, though no token asks for them. */
export interface KeyWatch {
  /** Somebody waits, until the returned function is called. */
  start (): () => void
}

/** The shortest time between two fetches, in milliseconds, whatever `jwks.maxAge` is. */
const MIN_INTERVAL = 1000

/** @param changed - is called when keys may have ended. */
export function createKeyWatch (keys: WatchedKeys, setTimer: SetTimer, changed: () => void): KeyWatch {
  let waiting = 0
  let isRefreshing = false
  let cancel: (() => void) | undefined
  keys.onReplaced(changed)

  function arm (least: number): void {
    if (waiting > 0 && !isRefreshing) cancel ??= setTimer(look, Math.max(least, keys.refreshIn()))
  }

  function look (): void {
    cancel = undefined
    if (keys.refreshIn() > 0) {
      arm(0)
      return
    }
    isRefreshing = true
    keys.refresh().catch(changed).finally(() => {
      isRefreshing = false
      arm(MIN_INTERVAL)
    })
  }

  return {
    start () {
      waiting++
      arm(0)
      return () => {
        waiting--
        if (waiting > 0) return
        cancel?.()
        cancel = undefined
      }
    }
  }
}
