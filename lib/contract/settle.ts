import { clearTimeout, setTimeout } from 'node:timers'

/** A callback of the application did not settle within the option `callbackTimeout`. */
export class CallbackTimeoutError extends Error {
  /** @param name - the callback. */
  constructor (name: string, ms: number) {
    super(`${name} did not settle within ${ms} ms`)
  }
}

/** Whether a callback returned something to wait for. A result that is there already needs no timer. */
export function isPending (returned: unknown): returned is object {
  return (typeof returned === 'object' && returned !== null) || typeof returned === 'function'
}

/** Ignores the rejection of a promise that nobody awaits: it would end the process. */
export function ignoreRejection (returned: unknown): void {
  new Promise(resolve => { resolve(returned) }).catch(() => {})
}

/**
 * Waits for what a callback of the application returned, but no longer than `ms` milliseconds. What it becomes later is
 * ignored. The timer does not keep the process alive.
 *
 * @throws CallbackTimeoutError, and whatever the promise rejects with.
 */
export async function settle (name: string, pending: object, ms: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new CallbackTimeoutError(name, ms)) }, ms).unref()
  })
  try {
    return await Promise.race([pending, timeout])
  } finally {
    clearTimeout(timer)
  }
}
