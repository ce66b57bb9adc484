import { recordOf, type UnknownRecord } from './record.js'

/** The columns of a user, and the registered claims of its token (RFC 7519 §4.1): no field of an application. */
export const USER_FIELDS = [
  'id', 'email', 'name', 'emailVerified', 'image', 'iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti'
] as const
/** The columns of a session that the plugin itself reads. */
export const SESSION_FIELDS = ['id', 'userId', 'token', 'expiresAt'] as const

/** A field that the options of a Better Auth instance, or its plugins, add to a user or a session. */
export interface AuthField {
  readonly name: string
  /** As Better Auth names it; a list of strings is what an enumeration may be; `unknown` is any value. */
  readonly type: typeof FIELD_TYPES[number] | readonly string[] | 'unknown'
}

const FIELD_TYPES = ['string', 'number', 'boolean', 'date', 'string[]', 'number[]'] as const

/**
 * The fields of a model: `additionalFields`, and those in the `schema` of the plugins, of which the last one counts, as
 * for Better Auth. Fields with `returned: false` are not among them.
 *
 * @param options - those of `betterAuth()`.
 * @param reserved - names that are not fields.
 */
export function readAuthFields (
  options: UnknownRecord, model: 'user' | 'session', reserved: readonly string[]
): readonly AuthField[] {
  const plugins = [options.plugins].flat()
  const schemas = plugins.map(plugin => recordOf(recordOf(recordOf(plugin).schema)[model]).fields)
  const all = [recordOf(options[model]).additionalFields, ...schemas]
  return [...new Map(all.flatMap(fields => Object.entries(recordOf(fields))))].flatMap(([name, given]) => {
    const { type, returned, transform } = recordOf(given)
    if (returned === false || reserved.includes(name)) return []
    return { name, type: recordOf(transform).output === undefined ? readType(type) : 'unknown' }
  })
}

function readType (type: unknown): AuthField['type'] {
  if (Array.isArray(type)) return [...type as string[]]
  return FIELD_TYPES.find(name => name === type) ?? 'unknown'
}
