import * as Type from '@sinclair/typebox'
import { option, type OptionSchema } from './check-options.js'
import type {
  ExchangedApiKeyOptions, ExchangedCookieOptions, ExchangeOptions, ExchangeStore, SharedExchangeOptions
} from './exchange-options.js'
import {
  AnyFunction, CookieName, milliseconds, Nested, requestsPerMinute, sharedSecret, timeout, typed
} from './schema-parts.js'

/** Every option of {@link ExchangeOptions}: what it may be, and its default. */
export const EXCHANGE_OPTIONS = {
  sessionToken: option(Type.Boolean(), 'true or false', true),
  sessionCookie: option(
    typed<ExchangedCookieOptions | boolean>(Type.Union([Nested, Type.Boolean()])), 'an object, true or false', true
  ),
  apiKey: option(
    typed<ExchangedApiKeyOptions | boolean>(Type.Union([Nested, Type.Boolean()])), 'an object, true or false', true
  ),
  maxAge: milliseconds(60_000),
  staleIfError: milliseconds(900_000),
  timeout: timeout(5000),
  requestsPerMinute: requestsPerMinute(60),
  max: option(Type.Integer({ minimum: 1, maximum: 10_000_000 }), 'a whole number of sessions, 1 or more', 10_000),
  forwardedFor: option(Type.Boolean(), 'true or false', false),
  shared: option(typed<SharedExchangeOptions>(Nested), 'an object with "store" and "secret"')
} satisfies Record<keyof ExchangeOptions, OptionSchema>

/** The same for {@link SharedExchangeOptions}. */
export const SHARED_EXCHANGE_OPTIONS = {
  store: option(
    typed<ExchangeStore>(Type.Object({ get: AnyFunction, set: AnyFunction, add: AnyFunction, delete: AnyFunction })),
    'an object with the functions "get", "set", "add" and "delete"'
  ),
  secret: sharedSecret
} satisfies Record<keyof SharedExchangeOptions, OptionSchema>

/** The same for {@link ExchangedCookieOptions}. */
export const EXCHANGED_COOKIE_OPTIONS = {
  name: option(CookieName, 'the name of a cookie')
} satisfies Record<keyof ExchangedCookieOptions, OptionSchema>

/** The same for {@link ExchangedApiKeyOptions}. */
export const API_KEY_OPTIONS = {
  header: option(Type.String({ pattern: "^[\\w!#$%&'*+.^`|~-]+$" }), 'the name of a header', 'x-api-key'),
  maxAge: milliseconds(900_000)
} satisfies Record<keyof ExchangedApiKeyOptions, OptionSchema>
