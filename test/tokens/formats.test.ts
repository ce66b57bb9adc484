import { createRequire } from 'node:module'
import { FormatRegistry, Type, type TSchema } from '@sinclair/typebox'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import betterAuthPlugin, { UserSchema } from '../../lib/index.js'
import { findFormat } from '../../lib/tokens/formats.js'
import { loadUserReader } from '../../lib/tokens/user-reader.js'
import { bearer, captureLog, startApi } from '../fixtures/api.js'
import { startJwks } from '../fixtures/jwks-server.js'
import { withReason } from '../fixtures/refusals.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()

const FORMATS: Record<string, [right: string[], wrong: string[]]> = {
  'date-time': [['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.678+01:00'], ['2026-01-02', '2026-13-02T03:04:05Z', '']],
  date: [['2026-01-02', '2024-02-29'], ['2026-02-29', '2026-1-2']],
  time: [['03:04:05Z'], ['03:04', '25:00:00Z']],
  email: [['ada@example.com'], ['ada', 'ada@', '@example.com']],
  uuid: [['0194a1c2-7f3e-7000-8000-000000000000'], ['0194a1c2']],
  uri: [['https://example.com/a?b#c', 'urn:x:y'], ['example', '/a']],
  'uri-reference': [['/a', '#b'], ['\\\\x']],
  hostname: [['id.example.com'], ['-x', 'a b']],
  ipv4: [['192.0.2.1'], ['192.0.2.256', '::1']],
  ipv6: [['2001:db8::1'], ['192.0.2.1', ':::']],
  duration: [['P1DT2H'], ['P']],
  regex: [['^a+$'], ['(']],
  byte: [['YQ=='], ['?']],
  int32: [['x'], []],
  password: [['x'], []]
}

t.test('the formats of Fastify\'s own validator mean the same in `userSchema`', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const jwks = await startJwks(t, KEY)
  const log = captureLog()
  const api = await startApi(t, {
    authUrl: jwks.origin,
    userSchema: Type.Object({
      ...UserSchema.properties,
      x: Type.Object(Object.fromEntries(Object.keys(FORMATS).map(name => [
        name, Type.Optional(Type.String({ format: name }))
      ])))
    })
  }, log)
  api.get('/', { onRequest: [api.authenticate] }, async ({ user }) => (user as { x?: object }).x)
  for (const [name, [right, wrong]] of Object.entries(FORMATS)) {
    app.post(`/${name}`, {
      schema: { body: { type: 'object', properties: { text: { type: 'string', format: name } } } }
    }, async () => 'in')
    for (const text of [...right, ...wrong]) {
      const status = right.includes(text) ? 200 : 401
      const headers = bearer(signJws(KEY, createClaims(jwks.origin, { x: { [name]: text } })))
      t.equal((await api.inject({ url: '/', headers })).statusCode, status, `${name}: ${text}`)
    }
  }
  t.strictSame(
    [...new Set(log.refusals().map(({ claim }) => claim))],
    Object.entries(FORMATS).filter(([, [, wrong]]) => wrong.length > 0).map(([name]) => `/x/${name}`)
  )
  await app.ready()
  for (const [name, [right, wrong]] of Object.entries(FORMATS)) {
    for (const text of [...right, ...wrong]) {
      const { statusCode } = await app.inject({ method: 'POST', url: `/${name}`, payload: { text } })
      t.equal(statusCode, right.includes(text) ? 200 : 400, `${name} in Fastify: ${text}`)
    }
  }
})

const reader = (properties: Record<string, TSchema>) =>
  loadUserReader({ userSchema: Type.Object({ ...UserSchema.properties, ...properties }), userId: 'either' })

t.test('in arrays, unions, intersections, tuples and records', async t => {
  const Email = Type.String({ format: 'email' })
  const Uuid = Type.String({ format: 'uuid' })
  const id = '0194a1c2-7f3e-7000-8000-000000000000'
  for (const [schema, right, wrong] of [
    [Type.Array(Email), ['a@example.com'], ['a@example.com', 'b']],
    [Type.Tuple([Email, Uuid]), ['a@example.com', id], [id, 'a@example.com']],
    [Type.Record(Type.String(), Email), { a: 'a@example.com' }, { a: 'a' }],
    [Type.Intersect([Email, Type.String({ maxLength: 13 })]), 'a@example.com', 'a'],
    [Type.Union([Email, Uuid]), id, 'a'],
    [Type.Union([Type.Object({ by: Uuid }), Type.Object({ by: Email, more: Type.String() })]),
      { by: 'a@example.com', more: 'x' }, { by: 'a@example.com' }],
    [Type.Union([Email, Type.Null()]), null, ''],
    [Type.Object({ deep: Type.Optional(Type.Object({ by: Email })) }), { deep: { by: 'a@example.com' } }, {
      deep: { by: 'a' }
    }]
  ] as Array<[TSchema, unknown, unknown]>) {
    const read = await reader({ x: schema })
    t.match(read({ sub: 'u_1', x: right }), { x: right })
    t.throws(() => read({ sub: 'u_1', x: wrong }), withReason('claim_invalid'))
  }
})

t.test('a base property may have one; neither the schema nor the registry of TypeBox is changed', async t => {
  const userSchema = Type.Object({ ...UserSchema.properties, email: Type.String({ format: 'email' }) })
  const read = await loadUserReader({ userSchema, userId: 'either' })
  t.match(read({ sub: 'u_1', email: 'a@example.com' }), { email: 'a@example.com' })
  t.throws(() => read({ sub: 'u_1', email: 'a' }), withReason('claim_invalid'))
  t.equal(userSchema.properties.email.format, 'email')
  t.notOk(FormatRegistry.Has('email'), 'nothing is registered for the process')
})

async function withFormat (t: Test, registry: typeof FormatRegistry, name: string): Promise<void> {
  registry.Set(name, text => text.startsWith('x-'))
  t.teardown(() => registry.Delete(name))
  const read = await reader({ x: Type.String({ format: name }) })
  t.match(read({ sub: 'u_1', x: 'x-1' }), { x: 'x-1' })
  t.throws(() => read({ sub: 'u_1', x: 'y-1' }), withReason('claim_invalid'))
}

t.test('formats that the application registered in TypeBox count, and come first', async t => {
  await withFormat(t, FormatRegistry, 'own')
  await withFormat(t, FormatRegistry, 'uuid')
  const { FormatRegistry: commonJs } = createRequire(import.meta.url)('@sinclair/typebox') as {
    FormatRegistry: typeof FormatRegistry
  }
  t.not(commonJs, FormatRegistry)
  await withFormat(t, commonJs, 'own-of-commonjs')
})

t.test('a format of the application that throws, or says anything but true, refuses', async t => {
  for (const test of [
    () => { throw new Error('broken') }, () => 'yes' as unknown as boolean, async () => true
  ]) {
    FormatRegistry.Set('broken', test as () => boolean)
    t.equal(findFormat('broken')!('x'), false)
  }
  FormatRegistry.Delete('broken')
})

t.test('a format that says nothing about a string accepts it', async t => {
  for (const name of ['int32', 'double', 'password', 'binary']) t.equal(findFormat(name)!('x'), true, name)
})

t.test('an unknown format fails the boot by its name', async t => {
  for (const name of ['emial', 'toString', '__proto__', '']) {
    for (const x of [Type.String({ format: name }), Type.Array(Type.Union([Type.String({ format: name })]))]) {
      const app = Fastify()
      t.teardown(() => app.close())
      const userSchema = Type.Object({ ...UserSchema.properties, x })
      await t.rejects(async () => { await app.register(betterAuthPlugin, { userSchema }) }, {
        code: 'FST_BETTER_AUTH_INVALID_OPTION',
        message: `Option "userSchema" has the unknown format "${name}"`
      } as unknown as Error)
    }
  }
})
