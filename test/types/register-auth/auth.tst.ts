import { betterAuth } from 'better-auth'
import { admin, bearer, createAccessControl, jwt, organization, phoneNumber, twoFactor } from 'better-auth/plugins'
import Fastify, { type FastifyRequest } from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, {
  getUser, type Actions, type Guard, type Permissions, type RoleOptions, type Session, type User, type UserPrincipal
} from 'better-auth-fastify'

const ac = createAccessControl({ project: ['create', 'update', 'delete'], invoice: ['pay'] })
const roles = { admin: ac.newRole({ project: ['create', 'delete'] }), editor: ac.newRole({ project: ['create'] }) }

const auth = betterAuth({
  baseURL: 'https://app.example.com',
  user: {
    additionalFields: {
      plan: { type: ['free', 'pro'], defaultValue: 'free' },
      tenant: { type: 'string', required: false },
      seats: { type: 'number' },
      isBeta: { type: 'boolean', required: false },
      bornAt: { type: 'date', required: false },
      tags: { type: 'string[]', required: false },
      scores: { type: 'number[]', required: false },
      settings: { type: 'json', required: false },
      secretNote: { type: 'string', returned: false },
      secretFlag: { type: 'boolean', required: false, returned: false },
      encoded: { type: 'string', transform: { output: value => [value].flat().length } },
      encrypted: { type: 'string', transform: { input: value => value } },
      // The token has its own.
      email: { type: 'number' },
      aud: { type: 'string' }
    }
  },
  session: { additionalFields: { device: { type: 'string' }, startedAt: { type: 'date' }, token: { type: 'number' } } },
  plugins: [
    jwt(), bearer(), admin({ ac, roles }), organization(), twoFactor(), phoneNumber(),
    {
      id: 'own',
      schema: { user: { fields: { locale: { type: 'string' }, hidden: { type: 'string', returned: false } } } }
    }
  ]
})

// An application writes this once. It applies to the whole program, so this test has its own folder and tsconfig.json.
declare module 'better-auth-fastify' {
  interface Register { auth: typeof auth, session: Session }
}

interface Expected {
  id: string
  email: string | null
  name: string | null
  emailVerified: boolean
  image: string | null
  plan: 'free' | 'pro' | null
  tenant: string | null
  seats: number | null
  isBeta: boolean | null
  bornAt: string | null
  tags: string[] | null
  scores: number[] | null
  settings: unknown
  encoded: unknown
  encrypted: string | null
  locale: string | null
  // admin()
  role: string | null
  banned: boolean | null
  banReason: string | null
  banExpires: string | null
  // twoFactor() and phoneNumber()
  twoFactorEnabled: boolean | null
  phoneNumber: string | null
  phoneNumberVerified: boolean | null
}

const app = Fastify()
await app.register(betterAuthPlugin, { auth, sessionCookie: true })

describe('a registered Better Auth 1.7', () => {
  test('is of this version', () => {
    expect(auth).type.toHaveProperty('fetch')
  })

  test('says which fields a user has, as its token has them', () => {
    expect<User>().type.toBe<Expected>()
    expect<FastifyRequest['user']>().type.toBe<User>()
    expect<ReturnType<typeof getUser>>().type.toBe<User | null>()
    expect<UserPrincipal['user']>().type.toBe<User>()
    expect<User>().type.not.toHaveProperty('secretNote')
    expect<User>().type.not.toHaveProperty('secretFlag')
    expect<User>().type.not.toHaveProperty('hidden')
    expect<User>().type.not.toHaveProperty('aud')
    app.get('/', { onRequest: app.authorize({ check: user => user.plan === 'pro' }) }, async ({ user }) => {
      expect(user.bornAt).type.toBe<string | null>()
      expect(user).type.not.toHaveProperty('createdAt')
    })
  })

  test('says which fields a session has', () => {
    expect<FastifyRequest['session']>().type.toBe<Session | null>()
    expect<Session['device']>().type.toBe<string | null>()
    expect<Session['startedAt']>().type.toBe<string | null>()
    expect<Session['activeOrganizationId']>().type.toBe<string | null>()
    expect<Session['impersonatedBy']>().type.toBe<string | null>()
    expect<Session['token']>().type.toBe<string>()
    expect<Session['createdAt']>().type.toBe<unknown>()
    expect<Parameters<NonNullable<RoleOptions['rolesFrom']>>[1]>().type.toBe<Session | null>()
  })

  test('says which roles there are, and what they may do', () => {
    expect<Guard['roles']>().type.toBe<ReadonlyArray<'admin' | 'editor'> | undefined>()
    expect<keyof Permissions>().type.toBe<'project'>()
    expect<NonNullable<Permissions['project']>>().type.toBe<Actions<'create' | 'delete'>>()
    expect(app.authorize).type.toBeCallableWith({ roles: ['admin', 'editor'], permissions: { project: ['create'] } })
    expect(app.authorize).type.not.toBeCallableWith({ roles: ['amdin'] })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { project: ['update'] } })
    expect(app.authorize).type.not.toBeCallableWith({ permissions: { invoice: ['pay'] } })
  })
})
