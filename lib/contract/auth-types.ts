import type { SESSION_FIELDS, USER_FIELDS } from './auth-fields.js'

// What follows from the type of a Better Auth instance: as much as the plugin keeps to at run time, and no more. The
// types are those of `auth.options`: `auth.$Infer` has dates where a token has strings, and the result of
// `customSession()`, which is in no token.

type Flat<T> = { [Name in keyof T]: T[Name] } & {}
type Later<First, Last> = Omit<First, keyof Last> & Last
/** Fields whose names TypeScript does not know are no fields here. */
type Known<Fields> = string extends keyof Fields ? object : Fields

type PluginsOf<Auth> = Auth extends { options: { plugins: infer Plugins } } ? Plugins : []
type OptionFields<Auth, Model extends string> =
  Auth extends { options: { [Name in Model]: { additionalFields: infer Fields } } } ? Known<Fields> : object
type PluginFields<Plugins, Model extends string> = Plugins extends readonly [infer First, ...infer Rest]
  ? Later<
    First extends { schema: { [Name in Model]: { fields: infer Fields } } } ? Known<Fields> : object,
    PluginFields<Rest, Model>
  >
  : object

type Property<Field, Name extends string> = Name extends keyof Field ? Field[Name] : undefined
type IsHidden<Field> = false extends Property<Field, 'returned'> ? true : false
/** JSON has no dates: they are strings (ISO 8601). */
type ValueOf<Type> = Type extends 'string' | 'date' ? string
  : Type extends 'number' ? number
    : Type extends 'boolean' ? boolean
      : Type extends 'string[]' ? string[]
        : Type extends 'number[]' ? number[]
          : Type extends ReadonlyArray<infer Value extends string> ? Value : unknown
type FieldValue<Field> = Property<NonNullable<Property<Field, 'transform'>>, 'output'> extends undefined
  ? ValueOf<Property<Field, 'type'>>
  : unknown
type FieldsOf<Auth, Model extends string> = Later<OptionFields<Auth, Model>, PluginFields<PluginsOf<Auth>, Model>>
type Read<Fields, Reserved> = {
  -readonly [Name in keyof Fields as IsHidden<Fields[Name]> extends true ? never : Exclude<Name, Reserved>]:
  FieldValue<Fields[Name]> | null
}

/** What `readAuthFields()` finds for the user of an instance, as a type. */
export type UserFieldsOf<Auth> = Flat<Read<FieldsOf<Auth, 'user'>, typeof USER_FIELDS[number]>>
/** The same for its sessions. */
export type SessionFieldsOf<Auth> = Flat<Read<FieldsOf<Auth, 'session'>, typeof SESSION_FIELDS[number]>>

type AdminRoles<Plugins> = Plugins extends readonly [infer First, ...infer Rest]
  ? First extends { id: 'admin', options: { roles: infer Roles extends object } } ? Known<Roles> : AdminRoles<Rest>
  : object
/** The role objects of an instance's `admin({ roles })`, by name; none if its type does not tell them. */
export type RolesOf<Auth> = AdminRoles<PluginsOf<Auth>>
