import type { SetTimer } from '../contract/timers.js'
import type { VerificationKey } from './jwk.js'

/** What the watch needs to know of the keys. */
export interface WatchedKeys {
  /** Why a key that `get` returned must not be used any more; `null` while it may be used, or may be in an outage. */
  lossOf (key: VerificationKey): KeyLoss | null
  /** Milliseconds until the keys are no longer fresh, or until the pause after a failure is over. */
  refreshIn (): number
  /** Fetches the JWKS. @throws JwksUnavailableError if it cannot be fetched. */
  refresh (): Promise<void>
  /** Calls a function whenever a new set of keys has replaced the previous one. */
  onReplaced (listener: () => void): void
}

/** `key_removed`: it has left the JWKS. `jwks_unavailable`: its last confirmation is too old, and no fetch succeeds. */
export type KeyLoss = 'key_removed' | 'jwks_unavailable'

/** Keeps the keys fresh while a connection depends on them, even if no request needs them. */
export interface KeyWatch {
  /** Starts to watch for one connection. The returned function stops that. */
  start (): () => void
}

/** The shortest time between two fetches, in milliseconds, whatever `jwks.maxAge` is. */
const MIN_INTERVAL = 1000

/** @param changed - is called when keys may have been removed. */
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
