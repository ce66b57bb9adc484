import { createAccessControl } from 'better-auth/plugins/access'
import { adminAc, defaultStatements } from 'better-auth/plugins/admin/access'
import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, { type Actions, type Guard, type Permissions } from 'better-auth-fastify'

const ac = createAccessControl({ ...defaultStatements, project: ['create', 'update', 'delete'], invoice: ['pay'] })
const roles = {
  admin: ac.newRole({ ...adminAc.statements, project: ['create', 'update'] }),
  editor: ac.newRole({ project: ['create', 'delete'] }),
  user: ac.newRole({ project: ['create'] })
}

// An application writes this once. It applies to the whole program.
declare module 'better-auth-fastify' {
  interface Register { roles: typeof roles }
}

const app = Fastify()
await app.register(betterAuthPlugin, { roles })

describe('registered roles', () => {
  test('say which resources and actions there are: what at least one of them has', () => {
    expect<keyof Permissions>().type.toBe<'user' | 'session' | 'project'>()
    expect<NonNullable<Permissions['project']>>().type.toBe<Actions<'create' | 'update' | 'delete'>>()
    expect<NonNullable<Permissions['session']>>().type.toBe<Actions<(typeof adminAc.statements.session)[number]>>()
    expect<Guard['permissions']>().type.toBe<Permissions | undefined>()
  })

  test('check the permissions of a guard', () => {
    expect(app.authorize).type.toBeCallableWith({ permissions: { project: ['create'], user: ['ban'] } })
    expect(app.authorize).type.toBeCallableWith({
      permissions: { project: { actions: ['update', 'delete'], connector: 'OR' } }
    })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { projects: ['create'] } })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { project: ['craete'] } })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { project: ['create', 'ban'] } })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { project: { actions: ['ban'] } } })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { invoice: ['pay'] } })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { project: 'create' } })
  })
})
