import type { FastifyBaseLogger } from 'fastify'
import type { FetchObserver } from '../auth-server/paced-source.js'
import {
  jwksFetchChannel, keyChangeChannel, type JwksFetchMessage, type KeyChangeMessage
} from '../contract/channels.js'
import type { VerificationKey } from './jwk.js'
import { MAX_ENTRIES, NO_KEYS, type EntryFault, type KeySet } from './key-set.js'

/** How many unusable entries of one JWKS get a line each. */
const MAX_LINES = 20

/** Logs what happens to the keys of an auth server, once per change, and publishes it to the diagnostics channels. */
export interface KeyEvents extends FetchObserver {
  /** Another JWKS takes the place of the one before. */
  replaced (before: KeySet, after: KeySet): void
}

/**
 * @param authUrl - the auth server that the keys belong to, for subscribers of the channels.
 * @param countKeys - how many keys are trusted.
 */
export function createKeyEvents (authUrl: string, log: FastifyBaseLogger, countKeys: () => number): KeyEvents {
  function publish (kid: string, change: KeyChangeMessage['change']): void {
    if (keyChangeChannel.hasSubscribers) {
      keyChangeChannel.publish({ authUrl, kid, change } satisfies KeyChangeMessage)
    }
  }

  function reportKeys (before: KeySet, after: KeySet): void {
    for (const [kid, keys] of after.keys) {
      const known = before.keys.get(kid)
      if (known === undefined) {
        const algorithms = [...new Set(keys.flatMap(key => key.algorithms))]
        log.info({ kid, algorithms }, before.keys.size === 0
          ? 'found a key of the auth server'
          : 'the auth server rotated its keys: found a new one')
        publish(kid, 'found')
      } else if (!isEqual(known, keys)) {
        log.warn({ kid }, 'the auth server replaced a key under the same kid')
        publish(kid, 'replaced')
      }
    }
    const isEmpty = after.keys.size === 0
    if (isEmpty && (before.keys.size > 0 || before === NO_KEYS)) {
      log.error({ entries: after.size }, 'the JWKS of the auth server has no usable key; its tokens are refused')
    }
    for (const kid of before.keys.keys()) {
      if (after.keys.has(kid)) continue
      const isUnusable = after.faults.some(entry => entry.kid === kid)
      const text = isUnusable
        ? 'a key of the auth server is no longer usable; its tokens are refused'
        : 'a key left the JWKS of the auth server; its tokens are refused'
      if (!isEmpty) log.warn({ kid }, text)
      publish(kid, isUnusable ? 'unusable' : 'removed')
    }
  }

  function reportFaults (before: KeySet, after: KeySet): void {
    const faults = newFaults(before.faults, after.faults)
    for (const { kid, fault } of faults.slice(0, MAX_LINES)) {
      if (fault === 'private') {
        log.error({ kid }, 'the auth server publishes a private key: anyone who has read it can sign tokens')
      } else {
        log.warn({ kid, fault }, 'a key in the JWKS of the auth server is not usable')
      }
    }
    if (faults.length > MAX_LINES) {
      log.warn({ entries: faults.length - MAX_LINES }, 'more entries in the JWKS of the auth server are not usable')
    }
    const isTooLong = ({ size }: KeySet) => size > MAX_ENTRIES
    if (isTooLong(after) && !isTooLong(before)) {
      const code = 'too_many_keys'
      log.warn({ code, entries: after.size }, `the JWKS has more than ${MAX_ENTRIES} entries; the others are ignored`)
    }
  }

  return {
    fetched (url, code, duration) {
      if (!jwksFetchChannel.hasSubscribers) return
      const outcome = code === null ? 'ok' : 'error'
      jwksFetchChannel.publish({ authUrl, url, outcome, code, duration } satisfies JwksFetchMessage)
    },
    unreachable (url, since, { code, systemCode }) {
      const line = { code, ...systemCode !== undefined && { systemCode }, jwksUrl: url ?? authUrl, keys: countKeys() }
      log.warn(line, `the JWKS has been unreachable since ${new Date(since).toISOString()}`)
    },
    reachable (downFor) {
      log.info({ downFor }, 'the JWKS of the auth server is back')
    },
    replaced (before, after) {
      reportKeys(before, after)
      reportFaults(before, after)
    }
  }
}

function isEqual (a: readonly VerificationKey[], b: readonly VerificationKey[]): boolean {
  return a.length === b.length && a.every((key, i) => key === b[i])
}

/** The faults of which there are more than before. */
function newFaults (before: readonly EntryFault[], after: readonly EntryFault[]): EntryFault[] {
  const known = before.map(nameOf)
  return after.filter(entry => {
    const index = known.indexOf(nameOf(entry))
    if (index !== -1) known.splice(index, 1)
    return index === -1
  })
}

function nameOf ({ kid, fault }: EntryFault): string {
  return `${fault} ${kid}`
}
