import type { FastifyBaseLogger } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { CredentialKind } from '../contract/principal.js'

/** Credentials that the auth server refused recently, so that the same one costs no further call. */
export interface RefusedCredentials {
  /** The error for a credential, by its digest; `undefined` if it may be exchanged. */
  find (id: string): Error | undefined
  /** @param duration - milliseconds; a minute at most, for the auth server may change its mind. */
  add (id: string, createError: () => Error, duration?: number): void
}

interface Refusal { readonly at: number, readonly until: number, createError (): Error }

const MAX_DURATION = 60_000

/** @param max - how many are remembered. The least recently used are dropped first. */
export function createRefusedCredentials (max: number, now: () => number): RefusedCredentials {
  const refusals = new LRUCache<string, Refusal>({ max })
  return {
    find (id) {
      const refusal = refusals.get(id)
      const time = now()
      // A clock that was set back must not make it longer.
      const isRefused = refusal !== undefined && time >= refusal.at && time < refusal.until
      return isRefused ? refusal.createError() : undefined
    },
    add (id, createError, duration = MAX_DURATION) {
      const at = now()
      refusals.set(id, { at, until: at + Math.min(duration, MAX_DURATION), createError })
    }
  }
}

/** What the auth server may lack if it refuses all credentials of a kind. */
const NEEDS = {
  'session-token': 'the plugin bearer()',
  'session-cookie': 'the same `advanced.cookies` and the same secret for all its instances',
  'api-key': 'apiKey({ enableSessionForAPIKeys: true })'
} satisfies Partial<Record<CredentialKind, string>>

/** Logs it once if the first credential of a kind is refused: a wrong setup looks like a wrong credential. */
export interface FirstVerdicts {
  accept (kind: keyof typeof NEEDS): void
  refuse (kind: keyof typeof NEEDS): void
}

export function createFirstVerdicts (log: FastifyBaseLogger): FirstVerdicts {
  const judged = new Set<CredentialKind>()
  return {
    accept (kind) { judged.add(kind) },
    refuse (kind) {
      if (judged.has(kind)) return
      judged.add(kind)
      log.warn({ credential: kind }, `the auth server has refused the first ${kind}: if it refuses all, it needs ` +
        NEEDS[kind])
    }
  }
}
