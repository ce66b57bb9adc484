import { describe, expect, test } from 'tstyche'
import type { RolesOf, SessionFieldsOf, UserFieldsOf } from '../../lib/contract/auth-types.js'

interface Field { type: 'string', returned?: boolean }

interface With<Fields, Plugins = []> { options: { user: { additionalFields: Fields }, plugins: Plugins } }
interface Plugin<Fields> { id: 'x', schema: { user: { fields: Fields } } }

describe('an instance whose type does not tell', () => {
  test('which fields there are, adds none', () => {
    expect<UserFieldsOf<unknown>>().type.toBe<{}>()
    expect<UserFieldsOf<{ options: object }>>().type.toBe<{}>()
    expect<UserFieldsOf<With<Record<string, Field>>>>().type.toBe<{}>()
    expect<UserFieldsOf<With<{ a: { type: 'string' } }, Array<Plugin<{ b: Field }>>>>>().type
      .toBe<{ a: string | null }>()
    expect<UserFieldsOf<With<{ a: { type: 'string' } }, [Plugin<Record<string, Field>>, object]>>>().type
      .toBe<{ a: string | null }>()
    expect<SessionFieldsOf<With<{ a: { type: 'string' } }>>>().type.toBe<{}>()
  })

  test('whether a field is returned, does not add it', () => {
    expect<UserFieldsOf<With<{ a: Field }>>>().type.toBe<{}>()
    expect<UserFieldsOf<With<{ a: { type: 'string', returned: boolean } }>>>().type.toBe<{}>()
    expect<UserFieldsOf<With<{ a: { type: 'string', returned: true } }>>>().type.toBe<{ a: string | null }>()
  })

  test('of which type a field is, makes it unknown', () => {
    expect<UserFieldsOf<With<{ a: { type: string } }>>>().type.toBe<{ a: unknown }>()
    expect<UserFieldsOf<With<{ a: { type: 'string' | 'json' } }>>>().type.toBe<{ a: unknown }>()
    expect<UserFieldsOf<With<{ a: object }>>>().type.toBe<{ a: unknown }>()
    expect<UserFieldsOf<With<{ a: { type: 'string', transform?: { output?: () => string } } }>>>().type
      .toBe<{ a: unknown }>()
    expect<UserFieldsOf<With<{ a: { type: string[] } }>>>().type.toBe<{ a: string | null }>()
  })

  test('which roles there are, has none', () => {
    expect<RolesOf<unknown>>().type.toBe<object>()
    expect<RolesOf<With<{}, [{ id: 'admin', options: { roles?: { a: object } } }]>>>().type.toBe<object>()
    expect<RolesOf<With<{}, [{ id: 'admin', options: { roles: Record<string, object> } }]>>>().type.toBe<object>()
    expect<RolesOf<With<{}, [{ id: 'organization', options: { roles: { a: object } } }]>>>().type.toBe<object>()
    expect<RolesOf<With<{}, [{ id: 'x' }, { id: 'admin', options: { roles: { a: 1 } } }]>>>().type.toBe<{ a: 1 }>()
  })
})

describe('two fields of one name', () => {
  test('are the last one, as for Better Auth', () => {
    expect<UserFieldsOf<With<{ a: { type: 'string' } }, [Plugin<{ a: { type: 'number' } }>]>>>().type
      .toBe<{ a: number | null }>()
    expect<UserFieldsOf<With<{ a: { type: 'string' } }, [Plugin<{ a: { type: 'string', returned: false } }>]>>>().type
      .toBe<{}>()
  })
})
