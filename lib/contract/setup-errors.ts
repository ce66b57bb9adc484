import { createError } from '@fastify/error'

/** Thrown at registration, so that the server does not start: an option is unknown or its value is invalid. */
export const InvalidOptionError = createError<'FST_BETTER_AUTH_INVALID_OPTION', 500, [message: string]>(
  'FST_BETTER_AUTH_INVALID_OPTION', '%s', 500
)

/** Thrown at registration: a decorator that the plugin needs is already taken in this scope. */
export const AlreadyRegisteredError = createError<'FST_BETTER_AUTH_ALREADY_REGISTERED', 500, [message: string]>(
  'FST_BETTER_AUTH_ALREADY_REGISTERED', '%s', 500
)

/** Thrown when the application gets ready, with the option `unprotected: 'error'`: nothing protects these routes. */
export const UnprotectedRouteError = createError<'FST_BETTER_AUTH_UNPROTECTED_ROUTE', 500, [message: string]>(
  'FST_BETTER_AUTH_UNPROTECTED_ROUTE', '%s', 500
)
