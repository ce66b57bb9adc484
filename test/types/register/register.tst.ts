import { Type, type Static } from '@sinclair/typebox'
import Fastify, { type FastifyRequest } from 'fastify'
import { describe, expect, test } from 'tstyche'
import betterAuthPlugin, {
  getUser, UserSchema, type Claims, type Guard, type Register, type Session, type User
} from 'better-auth-fastify'

const MyUser = Type.Object({
  ...UserSchema.properties,
  plan: Type.Union([Type.Literal('free'), Type.Literal('pro')], { default: 'free' }),
  tenant: Type.Optional(Type.Object({ id: Type.String() }))
})

// An application writes this once. It applies to the whole program, so this test has its own folder and tsconfig.json.
declare module 'better-auth-fastify' {
  interface Register { user: Static<typeof MyUser>, session: Session }
}

interface Expected {
  id: string
  email: string | null
  name: string | null
  emailVerified: boolean
  image: string | null
  plan: 'free' | 'pro'
  tenant?: { id: string }
}

const app = Fastify()
await app.register(betterAuthPlugin, { userSchema: MyUser })

describe('a registered user type', () => {
  test('is the type User', () => {
    expect<Register['user']>().type.toBe<Static<typeof MyUser>>()
    expect<User>().type.toBe<Expected>()
    expect<User>().type.not.toBe<Static<typeof UserSchema>>()
    expect<keyof User>().type.toBe<keyof Expected>()
  })

  test('is request.user, in handlers, hooks and error handlers', () => {
    expect<FastifyRequest['user']>().type.toBe<User>()
    expect<FastifyRequest<{ Params: { id: string } }>['user']>().type.toBe<User>()
    app.get('/', { onRequest: app.authenticate }, async ({ user }) => {
      expect(user).type.toBe<User>()
      expect(user.id).type.toBe<string>()
      expect(user.plan).type.toBe<'free' | 'pro'>()
      expect(user.tenant).type.toBe<{ id: string } | undefined>()
      expect(user).type.not.toHaveProperty('role')
    })
    app.addHook('preHandler', async ({ user }) => { expect(user.plan).type.toBe<'free' | 'pro'>() })
    app.setErrorHandler((_error, { user }) => { expect(user.plan).type.toBe<'free' | 'pro'>() })
  })

  test('is what getUser() returns, or null', () => {
    expect<ReturnType<typeof getUser>>().type.toBe<User | null>()
    app.get('/visitors', { onRequest: app.authenticateOptional }, async request => {
      expect(getUser(request)).type.toBe<User | null>()
      expect(getUser(request)).type.not.toBeAssignableTo<User>()
      expect(getUser(request)?.plan).type.toBe<'free' | 'pro' | undefined>()
    })
  })

  test('is passed to the check of authorize()', () => {
    app.get('/pro', {
      onRequest: app.authorize({
        check: (user, claims, request) => {
          expect(user).type.toBe<User>()
          expect(user.plan).type.toBe<'free' | 'pro'>()
          expect(claims).type.toBe<Claims>()
          expect(claims.plan).type.toBe<unknown>()
          expect(request).type.toBe<FastifyRequest>()
          return user.plan === 'pro'
        }
      })
    }, async () => {})
    expect<Parameters<NonNullable<Guard['check']>>[0]>().type.toBe<User>()
    expect(app.authorize).type.not.toBeCallableWith({ check: (user: { plan: number }) => user.plan === 1 })
  })

  test('leaves claims and session unchanged', () => {
    expect<FastifyRequest['claims']>().type.toBe<Claims>()
    expect<FastifyRequest['session']>().type.toBe<Session | null>()
  })
})
