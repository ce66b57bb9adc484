import { inspect } from 'node:util'
import type { Static, TSchema } from '@sinclair/typebox'
import * as Value from '@sinclair/typebox/value'
import { InvalidOptionError } from './setup-errors.js'
import { isMisspelt, suggestOption } from './suggest-option.js'

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

/** The same options with other defaults, where these are not `undefined`. */
export function withDefaults<Schemas extends Readonly<Record<string, OptionSchema>>> (
  schemas: Schemas, defaults: { readonly [Name in keyof Schemas]?: Schemas[Name]['schema']['static'] | undefined }
): Schemas {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => {
    return [name, { ...schema, default: defaults[name] ?? schema.default }]
  })) as Schemas
}

/** What Fastify itself reads from the options of any plugin. */
const FASTIFY_OPTIONS = ['prefix', 'logLevel', 'logSerializers']

/**
 * Checks options and fills in their defaults. It reads each one once, from a plain object or from an instance of a
 * class, and binds functions to that object. What `Object.prototype` has is never an option.
 *
 * @param prefix - the name of the option that contains these, followed by a dot.
 * @throws InvalidOptionError for an unknown option, or an invalid value.
 */
export function readOptions<Schemas extends Readonly<Record<string, OptionSchema>>> (
  schemas: Schemas, given: object, prefix = ''
): Resolved<Schemas> {
  // The entries of a Map, or of Headers, are not its properties.
  if (Symbol.iterator in given && !Array.isArray(given)) {
    const subject = prefix === '' ? 'The options' : `Option "${prefix.slice(0, -1)}"`
    throw new InvalidOptionError(`${subject} must be an object, got a ${given.constructor.name}`)
  }
  const chain = prototypeChain(given)
  const owners = chain.filter(object => object === given || !isRoot(object))
  assertKnown(Object.keys(schemas), owners, prefix)

  const values: Record<string, unknown> = {}
  for (const [name, { schema, expects, default: byDefault }] of Object.entries(schemas)) {
    const isFromRoot = name in chain.at(-1)! && !owners.some(owner => Object.hasOwn(owner, name))
    const value: unknown = isFromRoot ? undefined : Reflect.get(given, name)
    if (value !== undefined && !Value.Check(schema, value)) throw invalid(prefix + name, expects, value)
    values[name] = value === undefined ? byDefault : typeof value === 'function' ? value.bind(given) : value
  }
  return values as Resolved<Schemas>
}

function prototypeChain (object: object): object[] {
  const prototype = Object.getPrototypeOf(object) as object | null
  return prototype === null ? [object] : [object, ...prototypeChain(prototype)]
}

/** Whether it is `Object.prototype`, of this realm or another. */
function isRoot (object: object): boolean {
  return Object.hasOwn(object, 'isPrototypeOf')
}

/**
 * Instances may inherit helpers of their own, but not a misspelt option: nobody would notice that it is ignored.
 *
 * @param owners - the object with the options, and what it inherits from.
 */
function assertKnown (known: readonly string[], [given, ...inherited]: readonly object[], prefix: string): void {
  const names = prefix === '' ? [...known, ...FASTIFY_OPTIONS] : known
  const own = Object.keys(given!).filter(name => !names.includes(name) && Reflect.get(given!, name) !== undefined)
  const misspelt = inherited.flatMap(object => Object.getOwnPropertyNames(object))
    .filter(name => !names.includes(name) && names.some(option => isMisspelt(name, option)))
  const [unknown] = [...own, ...misspelt]
  if (unknown === undefined) return
  const list = known.map(name => prefix + name)
  throw new InvalidOptionError(`Unknown option "${prefix}${unknown}". Known options: ${list.join(', ')}` +
    suggestOption(unknown, list))
}

/** The error about one option: what it must be, and what it got. */
export function invalid (name: string, expects: string, value: unknown, source = ''): Error {
  return new InvalidOptionError(`Option "${name}"${source} must be ${expects}, got ${describe(name, value)}`)
}

/** RFC 7518 §3.2: at least the size of the hash of HS256. */
export const MIN_SECRET_BYTES = 32

/** @throws InvalidOptionError for a secret that is too short, or is none. */
export function checkSecret<T extends string | undefined> (name: string, value: T): T {
  if (value === undefined) return value
  if (Buffer.byteLength(value) < MIN_SECRET_BYTES) {
    throw invalid(name, `a shared secret of at least ${MIN_SECRET_BYTES} bytes`, value)
  }
  // With a public key as HMAC secret anyone could sign tokens.
  if (/-----BEGIN |"kty"/.test(value)) {
    throw new InvalidOptionError(`Option "${name}" must be a shared secret, got a PEM or a JWK`)
  }
  return value
}

const URL_OPTIONS = [
  'authUrl', 'publicUrl', 'auth.options.baseURL', 'resource', 'resource.url', 'resource.authorizationServers'
]

/** What may hold a secret inside, or by mistake. */
const SECRETIVE_OPTIONS = [
  'auth', 'sessionCookie', 'exchange', 'exchange.shared', 'exchange.shared.store', 'dpop', 'dpop.replayStore', 'jwks',
  'jwks.headers'
]

/** Shows what an option got, but never a secret, nor a password in a URL. */
function describe (name: string, value: unknown): string {
  const isSecret = /(?:^|\.)secret$/.test(name)
  // A secret in the wrong place, such as `sessionCookie: process.env.BETTER_AUTH_SECRET`.
  const mayHoldSecret = SECRETIVE_OPTIONS.includes(name) ||
    (name.startsWith('sessionCookie.') && typeof value === 'object')
  if (mayHoldSecret) return `a value of type ${value === null ? 'null' : typeof value}`
  if (!isSecret && !URL_OPTIONS.includes(name)) return inspect(value, { breakLength: Infinity })
  if (typeof value !== 'string') return `a value of type ${typeof value}`
  return isSecret ? `${Buffer.byteLength(value)} bytes` : inspect(value.replace(/(\w+:\/\/)?.*@/s, '$1***@'))
}
