import { clearTimeout, setTimeout } from 'node:timers'
import type { FastifyBaseLogger } from 'fastify'
import type { ExchangeStore } from '../contract/exchange-options.js'
import { createBackoff } from './backoff.js'

type Operation = keyof ExchangeStore

/** The store did not do what it should; or it failed recently, and was not asked. */
export class StoreFailedError extends Error {}

/** A store that fails in a bounded time, and is left alone for a while after a failure. All throw StoreFailedError. */
export interface BoundedStore {
  get (key: string): Promise<string | undefined>
  /** @param always - whether it is tried even after a failure. */
  set (key: string, value: string, ttl: number, always?: boolean): Promise<void>
  add (key: string, value: string, ttl: number): Promise<boolean>
  delete (key: string): Promise<void>
}

export interface BoundedStoreContext {
  readonly log: FastifyBaseLogger
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** From 0 up to 1. */
  readonly random: () => number
}

/** How long one call may take, in milliseconds. */
const TIMEOUT = 1000

export function createBoundedStore (store: ExchangeStore, { log, now, random }: BoundedStoreContext): BoundedStore {
  const backoff = createBackoff(now, random)
  /** What failed first: an outage ends when it works again. A store that can only be read has an outage too. */
  let failed: Operation | undefined
  const misused = new Set<Operation>()

  async function call<T> (operation: Operation, run: () => T, always = false): Promise<Awaited<T>> {
    if (!always && backoff.remaining() > 0) throw new StoreFailedError('the store failed recently')
    try {
      const result = await bounded(run)
      if (operation === failed) {
        failed = undefined
        backoff.succeed()
        log.info({ operation }, 'the shared store of exchanges works again')
      }
      return result
    } catch (error) {
      // Calls that fail together are one failure.
      if (backoff.remaining() === 0) backoff.fail(0)
      if (failed === undefined) {
        failed = operation
        log.warn({ operation, code: codeOf(error) }, 'the shared store of exchanges fails: until it works again, ' +
          'this instance exchanges by itself')
      }
      throw new StoreFailedError(`the store failed: ${operation}()`, { cause: error })
    }
  }

  function misuse (operation: Operation, expects: string, got: unknown): StoreFailedError {
    if (!misused.has(operation)) {
      misused.add(operation)
      log.warn({ operation, got: typeof got }, `${operation}() of the shared store of exchanges must return ${expects}`)
    }
    return new StoreFailedError(`the store returned nonsense: ${operation}()`)
  }

  return {
    async get (key) {
      const value: unknown = await call('get', () => store.get(key)) ?? undefined
      if (value === undefined || typeof value === 'string') return value
      throw misuse('get', 'a string, null or undefined', value)
    },
    async set (key, value, ttl, always) { await call('set', () => store.set(key, value, ttl), always) },
    async add (key, value, ttl) {
      const added: unknown = await call('add', () => store.add(key, value, ttl))
      if (typeof added === 'boolean') return added
      throw misuse('add', 'true or false', added)
    },
    async delete (key) { await call('delete', () => store.delete(key)) }
  }
}

async function bounded<T> (run: () => T): Promise<Awaited<T>> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(Object.assign(new Error('timeout'), { code: 'timeout' })) }, TIMEOUT).unref()
  })
  try {
    return await Promise.race([run(), timeout])
  } finally {
    clearTimeout(timer)
  }
}

/** A short word. The message of an error may contain what was to be stored. */
function codeOf (error: unknown): string {
  const { code, name } = Object(error) as { code?: unknown, name?: unknown }
  return [code, name].find(word => typeof word === 'string' && /^\w{1,40}$/.test(word)) as string | undefined ?? 'error'
}
