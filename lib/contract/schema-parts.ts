// What the schemas of the options are made of.
import * as Type from '@sinclair/typebox'
import type { TSchema } from '@sinclair/typebox'
import { MIN_SECRET_BYTES, option } from './check-options.js'

export const NonEmpty = Type.String({ minLength: 1 })
export const OneOrMore = [NonEmpty, Type.Array(NonEmpty, { minItems: 1 }), Type.Literal(false)]
export const CookieName = Type.String({ pattern: "^[\\w!#$%&'*+.^`|~-]+$" })
export const Nested = Type.Object({})
export const AnyFunction = Type.Function([], Type.Unknown())

export const sharedSecret = option(Type.String(), `a shared secret of at least ${MIN_SECRET_BYTES} bytes`)

export function milliseconds (byDefault: number) {
  return option(Type.Number({ minimum: 0 }), 'a number of milliseconds, 0 or more', byDefault)
}

export function timeout (byDefault: number) {
  const schema = Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 })
  return option(schema, 'a whole number of milliseconds, 1 or more', byDefault)
}

export function requestsPerMinute (byDefault: number) {
  return option(Type.Number({ exclusiveMinimum: 0 }), 'a number of requests a minute, more than 0', byDefault)
}

export function typed<T> (schema: TSchema) {
  return Type.Unsafe<T>(schema)
}

export function callback<T> () {
  return option(typed<T>(AnyFunction), 'a function')
}

/** A scope (RFC 6749 §3.3). */
export const Scope = Type.String({ pattern: '^[\\x21\\x23-\\x5B\\x5D-\\x7E]+$' })
