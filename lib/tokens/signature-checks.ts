import type { KeyObject } from 'node:crypto'
import { isSignedBy, isSignedByLater, type SignedInput } from './jws.js'

/** Checks the signatures of one registration, most of them in the thread pool. */
export interface SignatureChecks {
  /** Whether the signature is valid: at once if no other is being checked, else as a promise, which never rejects. */
  check (jws: SignedInput, key: KeyObject): boolean | Promise<boolean>
}

interface Waiting { readonly jws: SignedInput, readonly key: KeyObject, readonly resolve: (isSigned: boolean) => void }

/**
 * DNS lookups and files share the pool, which has 4 threads by default. A few checks for each thread keep it busy
 * between two turns of the event loop, and whatever comes after them waits for a millisecond or two.
 */
const MAX_RUNNING = 16
/**
 * After an invalid signature, until one is valid. In a flood of forged tokens, more threads would only take the cores
 * from the event loop, and the pool from DNS lookups and files.
 */
const MAX_RUNNING_IN_FLOOD = 1
/**
 * Beyond it, checks are done at once. To refuse a request instead would hit honest ones, and would save little: the
 * rest of a request costs the event loop about as much as the check.
 */
const MAX_WAITING = 1000

export function createSignatureChecks (): SignatureChecks {
  let running = 0
  let maxRunning = MAX_RUNNING
  const waiting: Waiting[] = []
  /** Whether this turn of the event loop has checked a signature. */
  let hasChecked = false

  /** Without others, the way to the pool and back costs more time than it saves. */
  function checkNow (jws: SignedInput, key: KeyObject): boolean {
    hasChecked = true
    setImmediate(() => { hasChecked = false })
    return note(isSignedBy(jws, key))
  }

  function note (isSigned: boolean): boolean {
    maxRunning = isSigned ? MAX_RUNNING : MAX_RUNNING_IN_FLOOD
    return isSigned
  }

  function start (jws: SignedInput, key: KeyObject, resolve: (isSigned: boolean) => void): void {
    running++
    isSignedByLater(jws, key, isSigned => {
      running--
      note(isSigned)
      startNext()
      resolve(isSigned)
    })
  }

  function startNext (): void {
    while (running < maxRunning) {
      const first = waiting.shift()
      if (first === undefined) return
      start(first.jws, first.key, first.resolve)
    }
  }

  return {
    check (jws, key) {
      if (running === 0 && !hasChecked) return checkNow(jws, key)
      if (running < maxRunning) return new Promise(resolve => { start(jws, key, resolve) })
      if (waiting.length >= MAX_WAITING) return isSignedBy(jws, key)
      return new Promise(resolve => { waiting.push({ jws, key, resolve }) })
    }
  }
}
