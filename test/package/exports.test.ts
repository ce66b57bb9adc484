import Fastify from 'fastify'
import t from 'tap'
import * as entry from '../../lib/index.js'
import * as channels from '../../lib/contract/channels.js'
import * as dpopErrors from '../../lib/contract/dpop-errors.js'
import * as errors from '../../lib/contract/errors.js'
import * as identity from '../../lib/contract/identity.js'
import * as options from '../../lib/contract/options.js'
import * as setupErrors from '../../lib/contract/setup-errors.js'
import * as requestDecorators from '../../lib/http/request-decorators.js'
import * as securitySchemes from '../../lib/openapi/security-schemes.js'
import * as plugin from '../../lib/plugin.js'
import { run } from '../fixtures/package.js'
import { ROOT } from '../fixtures/program.js'

t.test('exports what is public, and nothing else', async t => {
  t.strictSame(Object.keys(entry).sort(), [
    'ALGORITHMS', 'AlreadyRegisteredError', 'CHANNELS', 'CheckUnavailableError', 'CsrfError',
    'DpopProofInvalidError', 'DpopUnavailableError', 'ExchangeUnavailableError', 'ForbiddenError', 'InvalidOptionError',
    'JwksUnavailableError', 'RequestInvalidError', 'RevocationUnavailableError', 'TokenExpiredError',
    'TokenInvalidError', 'TokenMissingError', 'TokenRevokedError', 'UnprotectedRouteError', 'UserSchema',
    'betterAuthCookieSecuritySchemes', 'betterAuthDpopSecuritySchemes', 'betterAuthExchangeSecuritySchemes',
    'betterAuthOAuthSecurityScheme', 'betterAuthPlugin', 'betterAuthSecuritySchemes', 'default', 'getUser',
    'isBetterAuthError'
  ])
})

t.test('exports the things themselves', async t => {
  const rooms: Record<string, unknown> = {
    ...channels,
    ...dpopErrors,
    ...errors,
    ...setupErrors,
    ...identity,
    ...options,
    ...requestDecorators,
    ...securitySchemes,
    ...plugin
  }
  for (const [name, value] of Object.entries(entry)) {
    if (name !== 'default') t.equal(value, rooms[name], name)
  }
})

t.test('dist exports the same to ESM and CommonJS, and its functions and classes keep their names', async t => {
  const program = `
    import { createRequire } from 'node:module'
    import * as esm from 'better-auth-fastify'
    const commonJs = createRequire(import.meta.url)('better-auth-fastify')
    const names = Object.entries(esm).map(([key, { name = null }]) => [key, name])
    console.log(JSON.stringify({ names, isOne: esm.default === commonJs.default }))
  `
  const { stdout } = await run(ROOT, [process.execPath, '--input-type=module', '--eval', program])
  const names = Object.entries(entry).map(([key, value]) => [key, (value as { name?: string }).name ?? null])
  t.strictSame(JSON.parse(stdout), { names, isOne: true })
})

t.test('the default export and betterAuthPlugin are one', async t => {
  t.equal(entry.default, entry.betterAuthPlugin)
  t.type(entry.default, 'function')
})

t.test('the plugin says its name and for which Fastify it is', async t => {
  const meta = entry.default as unknown as Record<symbol, unknown>
  t.strictSame(meta[Symbol.for('plugin-meta')], { name: 'better-auth-fastify', fastify: '^5.8.4' })
  t.equal(meta[Symbol.for('skip-override')], true, 'its decorators reach the scope that registers it')

  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(entry.default, { authUrl: 'http://localhost:3000' })
  t.ok(app.hasPlugin('better-auth-fastify'))
  for (const name of ['authenticate', 'authenticateOptional', 'authorize', 'betterAuth']) {
    t.ok(app.hasDecorator(name), name)
  }
  for (const name of ['user', 'claims']) t.ok(app.hasRequestDecorator(name), name)
})
