import type { FastifyInstance } from 'fastify'
import { InvalidOptionError } from '../contract/setup-errors.js'
import type { Guard } from '../guards/clauses.js'
import { isOpenRoute } from '../http/open-route.js'

/** What one hook requires of a request. */
export interface Protection {
  /** Accepts anonymous requests. */
  readonly isOptional: boolean
  /** What `authorize()` was given. */
  readonly guard?: Guard
  /** A hook of the application, which says that it protects. It may let through the routes that are public. */
  readonly isOwn?: boolean
}

/** The hooks of one registration that protect routes. */
export interface Protections {
  /** Records what a hook requires, and returns the hook. */
  describe: <Hook extends object>(hook: Hook, protection: Protection) => Hook
  /**
   * Records that a hook of the application protects, and returns the hook. What the plugin's own hooks require stays
   * recorded as it is.
   *
   * @throws InvalidOptionError for anything but a function.
   */
  mark: <Hook>(hook: Hook) => Hook
  /** What these hooks require of a route with this `config`. */
  of: (hooks: readonly object[], config: unknown) => Protection[]
}

export function createProtections (): Protections {
  const known = new WeakMap<object, Protection>()

  function describe<Hook extends object> (hook: Hook, protection: Protection): Hook {
    known.set(hook, protection)
    // Fastify calls a bound copy of each hook, and `getDecorator()` returns one: it protects as the hook does.
    const bind = Reflect.get(hook, 'bind') as (...args: unknown[]) => object
    Reflect.defineProperty(hook, 'bind', {
      value: (...args: unknown[]) => describe(bind.apply(hook, args), protection), configurable: true
    })
    return hook
  }

  return {
    describe,
    mark (hook) {
      if (typeof hook !== 'function') throw new InvalidOptionError('markAsProtection() needs one hook, a function')
      return known.has(hook) ? hook : describe(hook, { isOptional: false, isOwn: true })
    },
    of: (hooks, config) => hooks.flatMap(hook => {
      const protection = known.get(hook)
      const isLetThrough = isOpenRoute(config) || (protection?.isOwn === true && isPublic(config))
      return protection === undefined || isLetThrough ? [] : protection
    })
  }
}

/** Whether a route says `config: { public: true }`. */
export function isPublic (config: unknown): boolean {
  return (config as { public?: unknown } | null | undefined)?.public === true
}

/** The options of a route in which a hook can protect it. */
export const POSITIONS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

/** The hooks in these positions, of a route's options or of Fastify's own record of it. */
export function hooksOf (holder: object): object[] {
  return POSITIONS.flatMap(position => {
    const hooks: unknown = Reflect.get(holder, position)
    return [hooks ?? []].flat() as object[]
  })
}

/**
 * The hooks of a scope. Fastify has no public list of them. If it moves them one day, hooks of routes are still found.
 */
export function scopeHooks (scope: FastifyInstance): object[] {
  const key = Object.getOwnPropertySymbols(scope).find(({ description }) => description === 'fastify.hooks')
  return key === undefined ? [] : hooksOf(Reflect.get(scope, key) as object)
}
