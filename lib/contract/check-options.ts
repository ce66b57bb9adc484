import { inspect } from 'node:util'
import { createError } from '@fastify/error'
import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

/** Thrown at registration, so that the server does not start: an option is unknown or has a value that cannot be used. */
export const InvalidOptionError = createError<'FST_BETTER_AUTH_INVALID_OPTION', 500, [message: string]>('FST_BETTER_AUTH_INVALID_OPTION', '%s', 500)

/** What Fastify itself reads from the options of any plugin. */
const FASTIFY_OPTIONS = ['prefix', 'logLevel', 'logSerializers']

/** @throws InvalidOptionError for an option that is unknown or of no use. */
export function checkOptions (options: object, schemas: Record<string, TSchema>, prefix = ''): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || (prefix === '' && FASTIFY_OPTIONS.includes(name))) continue
    const schema = Object.hasOwn(schemas, name) ? schemas[name] : undefined
    if (schema === undefined) {
      throw new InvalidOptionError(`Unknown option "${prefix}${name}"; the options are ${Object.keys(schemas).map(known => prefix + known).join(', ')}`)
    }
    if (!Value.Check(schema, value)) throw invalid(prefix + name, schema.expects, value)
  }
}

/** The error about one option: what it must be, and what it got. */
export function invalid (name: string, expects: string, value: unknown, source = ''): Error {
  return new InvalidOptionError(`Option "${name}"${source} must be ${expects}, got ${describe(name, value)}`)
}

/** What was got, without what must not be seen: the secret, and a password in a URL. */
function describe (name: string, value: unknown): string {
  if (name !== 'secret' && name !== 'authUrl') return inspect(value, { breakLength: Infinity })
  if (typeof value !== 'string') return `a value of type ${typeof value}`
  return name === 'secret' ? `${Buffer.byteLength(value)} bytes` : inspect(value.replace(/^(\w+:\/\/)?.*@/s, '$1***@'))
}
