import type { FastifyBaseLogger } from 'fastify'
import type { FetchObserver } from '../auth-server/paced-source.js'
import {
  jwksFetchChannel, keyChangeChannel, type JwksFetchMessage, type KeyChangeMessage
} from '../contract/channels.js'
import type { JwkFault, VerificationKey } from './jwk.js'

/** Logs what happens to the keys of an auth server, once per change, and publishes it to the diagnostics channels. */
export interface KeyEvents extends FetchObserver {
  /** @param isFirst - whether no other key is known; a further key means a rotation. */
  found (key: VerificationKey, isFirst: boolean): void
  replaced (kid: string): void
  removed (kid: string): void
  becameUnusable (kid: string): void
  /** A JWK that is not usable, known before or not. */
  unusable (kid: string, fault: JwkFault): void
}

/**
 * @param authUrl - the auth server that the keys belong to, for subscribers of the channels.
 * @param countKeys - how many keys are known.
 */
export function createKeyEvents (authUrl: string, log: FastifyBaseLogger, countKeys: () => number): KeyEvents {
  function publish (kid: string, change: KeyChangeMessage['change']): void {
    if (keyChangeChannel.hasSubscribers) {
      keyChangeChannel.publish({ authUrl, kid, change } satisfies KeyChangeMessage)
    }
  }

  return {
    fetched (url, code, duration) {
      if (!jwksFetchChannel.hasSubscribers) return
      const outcome = code === null ? 'ok' : 'error'
      jwksFetchChannel.publish({ authUrl, url, outcome, code, duration } satisfies JwksFetchMessage)
    },
    unreachable (since, code) {
      log.warn({ code, keys: countKeys() }, `the JWKS has been unreachable since ${new Date(since).toISOString()}`)
    },
    reachable (downFor) {
      log.info({ downFor }, 'the JWKS of the auth server is back')
    },
    found ({ kid, algorithms }, isFirst) {
      const text = isFirst ? 'found a key of the auth server' : 'the auth server rotated its keys: found a new one'
      log.info({ kid, algorithms }, text)
      publish(kid, 'found')
    },
    replaced (kid) {
      log.warn({ kid }, 'the auth server replaced a key under the same kid')
      publish(kid, 'replaced')
    },
    removed (kid) {
      log.warn({ kid }, 'a key left the JWKS of the auth server; its tokens are refused')
      publish(kid, 'removed')
    },
    becameUnusable (kid) {
      log.warn({ kid }, 'a key of the auth server is no longer usable; its tokens are refused')
      publish(kid, 'unusable')
    },
    unusable (kid, fault) {
      if (fault === 'private') {
        log.error({ kid }, 'the auth server publishes a private key: anyone who has read it can sign tokens')
      } else {
        log.warn({ kid, fault }, 'a key in the JWKS of the auth server is not usable')
      }
    }
  }
}
