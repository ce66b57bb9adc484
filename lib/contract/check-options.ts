import { inspect } from 'node:util'
import type { Static, TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { InvalidOptionError } from './errors.js'
import { suggestOption } from './suggest-option.js'

/** What an option may be, what an error says it must be, and its default. */
export interface OptionSchema<T = unknown> {
  readonly schema: TSchema & { static: T }
  /** Completes the sentence "Option "x" must be …". */
  readonly expects: string
  readonly default: T | undefined
}

/** Options with their defaults filled in; `undefined` where an option has no default. */
export type Resolved<Schemas> = {
  readonly [Name in keyof Schemas]: Schemas[Name] extends OptionSchema<infer T>
    ? Schemas[Name]['default'] extends undefined ? T | undefined : T
    : never
}

/** One option, without a default or with one. */
export function option<S extends TSchema> (
  schema: S, expects: string
): OptionSchema<Static<S>> & { readonly default: undefined }
export function option<S extends TSchema, Default extends Static<S>> (
  schema: S, expects: string, byDefault: Default
): OptionSchema<Static<S>> & { readonly default: Default }
export function option (schema: TSchema, expects: string, byDefault?: unknown): OptionSchema {
  return { schema, expects, default: byDefault }
}

/** What Fastify itself reads from the options of any plugin. */
const FASTIFY_OPTIONS = ['prefix', 'logLevel', 'logSerializers']

/**
 * Checks options and fills in their defaults. It reads own properties only; inherited ones are ignored.
 *
 * @param prefix - the name of the option that contains these, followed by a dot.
 * @throws InvalidOptionError for an unknown option, or an invalid value.
 */
export function readOptions<Schemas extends Readonly<Record<string, OptionSchema>>> (
  schemas: Schemas, given: object, prefix = ''
): Resolved<Schemas> {
  const values: Record<string, unknown> = {}
  for (const [name, { default: byDefault }] of Object.entries(schemas)) values[name] = byDefault
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || (prefix === '' && FASTIFY_OPTIONS.includes(name))) continue
    const known = Object.hasOwn(schemas, name) ? schemas[name]! : undefined
    if (known === undefined) {
      const names = Object.keys(schemas).map(name => prefix + name)
      throw new InvalidOptionError(`Unknown option "${prefix}${name}". Known options: ${names.join(', ')}` +
        suggestOption(name, names))
    }
    if (!Value.Check(known.schema, value)) throw invalid(prefix + name, known.expects, value)
    values[name] = value
  }
  return values as Resolved<Schemas>
}

/** The error about one option: what it must be, and what it got. */
export function invalid (name: string, expects: string, value: unknown, source = ''): Error {
  return new InvalidOptionError(`Option "${name}"${source} must be ${expects}, got ${describe(name, value)}`)
}

/** Shows what an option got, but never a secret, nor a password in a URL. */
function describe (name: string, value: unknown): string {
  const isSecret = /(?:^|\.)secret$/.test(name)
  // A secret in the wrong place, such as `sessionCookie: process.env.BETTER_AUTH_SECRET`.
  const mayHoldSecret = ['sessionCookie', 'jwks', 'jwks.headers'].includes(name) ||
    (name.startsWith('sessionCookie.') && typeof value === 'object')
  if (mayHoldSecret) return `a value of type ${value === null ? 'null' : typeof value}`
  if (!isSecret && name !== 'authUrl' && name !== 'publicUrl') return inspect(value, { breakLength: Infinity })
  if (typeof value !== 'string') return `a value of type ${typeof value}`
  return isSecret ? `${Buffer.byteLength(value)} bytes` : inspect(value.replace(/^(\w+:\/\/)?.*@/s, '$1***@'))
}
