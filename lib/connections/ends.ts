import type { FastifyBaseLogger } from 'fastify'
import type { Principal } from '../contract/principal.js'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import type { SetTimer } from '../contract/timers.js'
import { verifiedTokenOf } from '../http/principal.js'
import { createKeyWatch, type KeyLoss, type WatchedKeys } from '../keys/key-watch.js'
import type { VerifiedToken } from '../tokens/verified-token.js'

/**
 * Why a connection has to end:
 *
 * - `token_expired`: a request with the token would be refused from now on, because it has expired.
 * - `key_removed`: the key of the token has left the JWKS, or is not usable any more.
 * - `jwks_unavailable`: the JWKS could not be fetched for `jwks.staleIfError`, so the key may have been removed.
 * - `session_revoked`: `fastify.betterAuth.revoke()` was called for the session or for its user.
 */
export type EndReason = 'token_expired' | KeyLoss | 'session_revoked'

/** What `onEnd()` returns. With `using`, it stops at the end of the block. */
export interface EndWatch {
  /** Stops watching: the listener is not called any more. It may be called again, and needs no `this`. */
  stop: () => void
  [Symbol.dispose]: () => void
}

/** The connections of one registration, and when they end. */
export interface Ends {
  onEnd (principal: Principal, listener: (reason: EndReason) => void): EndWatch
  /** Ends the connections that are meant. */
  revoke (isMeant: (verified: VerifiedToken) => boolean): void
  /** Stops watching everything, and calls no listener. */
  close (): void
}

export interface EndsContext {
  readonly options: ResolvedOptions
  readonly keys: WatchedKeys
  readonly log: FastifyBaseLogger
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly setTimer: SetTimer
}

interface Connection {
  readonly verified: VerifiedToken
  stop (): void
  end (reason: EndReason): void
}

export function createEnds ({ options, keys, log, now, setTimer }: EndsContext): Ends {
  const connections = new Set<Connection>()
  const keyWatch = createKeyWatch(keys, setTimer, () => { endAll(({ verified: { key } }) => lossOf(key)) })
  let isClosed = false

  function lossOf (key: VerifiedToken['key']): KeyLoss | null {
    return key === undefined ? null : keys.lossOf(key)
  }

  function endAll (reasonFor: (connection: Connection) => EndReason | null): void {
    for (const connection of [...connections]) {
      const reason = reasonFor(connection)
      if (reason !== null) connection.end(reason)
    }
  }

  /** An error of a listener ends neither the process nor the work for other connections. */
  async function notify (listener: (reason: EndReason) => unknown, reason: EndReason): Promise<void> {
    try {
      await listener(reason)
    } catch (err) {
      log.error({ err, reason }, 'a listener of betterAuth.onEnd() failed: the connection may still be open')
    }
  }

  function connect (verified: VerifiedToken, listener: (reason: EndReason) => void): Connection {
    const stopKeyWatch = verified.key === undefined ? undefined : keyWatch.start()
    let cancel = setTimer(look, lossOf(verified.key) === null ? verified.expiresAt - now() : 0)
    const connection: Connection = {
      verified,
      stop () {
        if (!connections.delete(connection)) return
        cancel()
        stopKeyWatch?.()
      },
      end (reason) {
        // A listener that was called just now may have stopped or ended it.
        if (!connections.has(connection)) return
        connection.stop()
        notify(listener, reason)
      }
    }

    function look (): void {
      const left = verified.expiresAt - now()
      const reason = left <= 0 ? 'token_expired' : lossOf(verified.key)
      if (reason === null) cancel = setTimer(look, left)
      else connection.end(reason)
    }

    connections.add(connection)
    return connection
  }

  return {
    onEnd (principal, listener) {
      const verified = verifiedTokenOf(principal)
      if (verified?.options !== options) {
        throw new InvalidOptionError('onEnd() needs a principal of a request or of verify(), of the same registration')
      }
      if (typeof listener !== 'function') throw new InvalidOptionError('onEnd() needs a function as its listener')
      const stop = isClosed ? () => {} : connect(verified, listener).stop
      return { stop, [Symbol.dispose]: stop }
    },
    revoke (isMeant) { endAll(({ verified }) => isMeant(verified) ? 'session_revoked' : null) },
    close () {
      isClosed = true
      for (const { stop } of [...connections]) stop()
    }
  }
}
