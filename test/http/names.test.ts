import fastifyJwt from '@fastify/jwt'
import Fastify, { type FastifyInstance, type FastifyPluginCallback } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import betterAuthPlugin, { type BetterAuthOptions } from '../../lib/index.js'
import { startIssuer } from '../fixtures/test-issuer.js'

const issuer = await startIssuer(t)

/** Adds something to an application, which may collide with the plugin. */
type Step = (app: FastifyInstance) => unknown

const ours = (options: BetterAuthOptions = {}): Step => app => {
  return app.register(betterAuthPlugin, { authUrl: issuer.authUrl, ...options })
}
const theirs = (plugin: FastifyPluginCallback): Step => app => app.register(fp(plugin))
const withCookie = ours({ sessionCookie: true })

// What these plugins add to requests and to the instance, in their order; they are not installed here.
/** @fastify/session 11. */
const session = theirs((app, _options, done) => {
  app.decorate('decryptSession', () => {})
  app.decorateRequest('sessionStore', { getter: () => ({}) })
  app.decorateRequest('session', null as never)
  done()
})
/** @fastify/secure-session 8, with its option `sessionName`. */
const secureSession = (sessionName = 'session') => theirs((app, _options, done) => {
  app.decorateRequest(sessionName, null)
  app.decorate('decodeSecureSession', () => null)
  done()
})
/** @fastify/passport 4, with its option `userProperty`. */
const passport = (userProperty = 'user') => theirs((app, _options, done) => {
  app.decorateRequest('passport', { getter: () => ({}) })
  for (const name of ['logIn', 'login', 'logOut', 'logout']) app.decorateRequest(name, async () => {})
  app.decorateRequest(userProperty, null)
  done()
})
const jwt = (namespace?: string): Step => app => {
  return app.register(fastifyJwt, { secret: 'x'.repeat(32), ...namespace !== undefined && { namespace } })
}

/** How the boot ends: with `undefined`, or with an error. The steps are registered at once, or one after the other. */
async function boot (t: Test, steps: readonly Step[], isAwaited: boolean, app = Fastify()): Promise<unknown> {
  t.teardown(() => app.close())
  try {
    for (const step of steps) {
      const pending = step(app)
      if (isAwaited) await pending
    }
    await app.ready()
  } catch (error) {
    return error
  }
}

/** The boot fails with one error that names what is taken and says what to do, in each order. */
async function collide (t: Test, other: Step, plugin: Step, name: string, wayOut: RegExp): Promise<void> {
  for (const [order, steps] of Object.entries({ before: [other, plugin], after: [plugin, other] })) {
    for (const isAwaited of [true, false]) {
      const error = await boot(t, steps, isAwaited)
      t.match(error, {
        code: 'FST_BETTER_AUTH_ALREADY_REGISTERED',
        message: `${name} is taken twice in this scope, by better-auth-fastify and by other code. Way out: `
      }, `${order}${isAwaited ? '' : ', not awaited'}`)
      t.match((error as Error).message, wayOut)
    }
  }
}

t.test('@fastify/session and the option sessionCookie', async t => {
  await collide(t, session, withCookie, 'request.session', /sibling scope, such as @fastify\/session/)
})

t.test('@fastify/secure-session and the option sessionCookie', async t => {
  await collide(t, secureSession(), withCookie, 'request.session', /secure-session another "sessionName"/)
})

t.test('@fastify/passport', async t => {
  await collide(t, passport(), ours(), 'request.user', /@fastify\/passport another "userProperty"/)
})

t.test('a second @fastify/jwt', async t => {
  const wayOut = /remove your registration of @fastify\/jwt.+"namespace".+sibling scope/
  await collide(t, jwt(), ours(), 'fastify.jwt', wayOut)
  t.match(await boot(t, [jwt(), app => app.register(async scope => { await ours()(scope) })], true), {
    message: /^fastify\.jwt is taken twice/
  }, 'also that of a parent')
})

t.test('names of the application itself', async t => {
  const wayOut = /Way out: .*sibling scope/
  for (const name of ['authenticate', 'authenticateOptional', 'authorize', 'jwt']) {
    await collide(t, app => { app.decorate(name, () => {}) }, ours(), `fastify.${name}`, wayOut)
  }
  for (const name of ['user', 'claims', 'principal', 'session', 'jwtVerify', 'jwtDecode']) {
    await collide(t, app => { app.decorateRequest(name, null) }, withCookie, `request.${name}`, wayOut)
  }
  await collide(t, app => { app.decorateReply('jwtSign', null as never) }, ours(), 'reply.jwtSign', wayOut)
  t.match(await boot(t, [ours(), app => { app.decorate('betterAuth', {} as never) }], true), {
    code: 'FST_BETTER_AUTH_ALREADY_REGISTERED', message: /^fastify\.betterAuth is taken twice/
  })
})

t.test('the ways out are ways out', async t => {
  const cases: Record<string, readonly Step[]> = {
    'no sessionCookie, then @fastify/session': [ours(), session],
    '@fastify/session, then no sessionCookie': [session, ours()],
    'another sessionName': [withCookie, secureSession('secureSession')],
    'another userProperty': [passport('passportUser'), ours()],
    'a namespace of @fastify/jwt, later': [ours(), jwt('own')],
    'sibling scopes': [
      app => app.register(async scope => { for (const step of [session, jwt()]) await step(scope) }),
      app => app.register(async scope => { await passport()(scope) }),
      app => app.register(async scope => { await withCookie(scope) })
    ]
  }
  for (const [title, steps] of Object.entries(cases)) {
    for (const isAwaited of [true, false]) t.equal(await boot(t, steps, isAwaited), undefined, title)
  }
})

t.test('a child scope may replace a decorator of the instance, but not one of its requests', async t => {
  t.equal(await boot(t, [ours(), app => app.register(async scope => {
    scope.decorate('authenticate', async () => {})
  })], true), undefined)
  t.equal(await boot(t, [app => app.decorate('authenticate', async () => {}), app => app.register(async scope => {
    await ours()(scope)
  })], true), undefined, 'nor may the plugin itself')
  for (const other of [jwt(), passport()]) {
    t.match(await boot(t, [ours(), app => app.register(async scope => { await other(scope) })], true), {
      code: 'FST_BETTER_AUTH_ALREADY_REGISTERED', message: /^request\.user is taken twice/
    })
  }
})

t.test('all other decorators are added as ever, with their dependencies', async t => {
  const app = Fastify()
  t.equal(await boot(t, [ours(), app => {
    app.decorate('own', 1).decorateRequest('own', null, ['user']).decorateReply('own', null)
    app.decorate('claims', 1).decorateRequest('authorize', null).decorateReply('principal', null)
  }], true, app), undefined)
  t.ok(app.hasDecorator('own') && app.hasRequestDecorator('own') && app.hasReplyDecorator('own'))
  t.ok(app.hasDecorator('claims') && app.hasRequestDecorator('authorize') && app.hasReplyDecorator('principal'))
  t.match(await boot(t, [ours(), app => app.decorateRequest('own', null, ['missing'])], true), {
    code: 'FST_ERR_DEC_MISSING_DEPENDENCY'
  })
})

t.test('a second registration in one scope fails, and one in a sibling scope does not', async t => {
  const start = async (nested: boolean) => {
    const app = Fastify()
    t.teardown(() => app.close())
    for (let i = 0; i < 2; i++) {
      if (nested) app.register(async scope => { await ours()(scope) })
      else ours()(app)
    }
    await app.ready()
  }
  await start(true)
  await t.rejects(start(false), {
    message: 'better-auth-fastify is already registered in this scope; for a second auth server register it in a ' +
      'sibling scope'
  })
})
