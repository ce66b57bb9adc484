import { describe, expect, test } from 'tstyche'
import type { AccessRole, AuthInstance, Guard, Permissions, Session, User } from 'better-auth-fastify'

interface Instance extends AuthInstance {
  options: {
    user: { additionalFields: { plan: { type: 'number' } } }
    session: { additionalFields: { device: { type: 'string' } } }
    plugins: [{ id: 'admin', options: { roles: { clerk: AccessRole & { statements: { invoice: ['pay'] } } } } }]
  }
}

declare module 'better-auth-fastify' {
  interface Register { auth: Instance }
}

describe('a registered Better Auth', () => {
  test('yields to the user and the roles of the application', () => {
    expect<User['plan']>().type.toBe<'free' | 'pro'>()
    expect<User['tenant']>().type.toBe<{ id: string } | undefined>()
    expect<keyof Permissions>().type.toBe<'user' | 'session' | 'project'>()
    expect<Guard['roles']>().type.toBe<readonly string[] | undefined>()
  })

  test('types the session, which the application does not declare anew', () => {
    expect<Session['device']>().type.toBe<string | null>()
  })
})
