import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { JwksFetchError } from '../../lib/auth-server/find-jwks.js'
import { CHANNELS } from '../../lib/contract/channels.js'
import { MAX_ENTRIES } from '../../lib/keys/key-set.js'
import {
  ask, AUTH_URL, createTestStore, createWarmStore, DOWN, k1, k1Replaced, k2, settle, staleAfter, type TestStore
} from '../fixtures/key-store.js'
import { createSigningKey } from '../fixtures/signing.js'

const FOUND = 'found a key of the auth server'
const ROTATED = 'the auth server rotated its keys: found a new one'
const REPLACED = 'the auth server replaced a key under the same kid'
const LEFT = 'a key left the JWKS of the auth server; its tokens are refused'
const SPOILT = 'a key of the auth server is no longer usable; its tokens are refused'
const UNUSABLE = 'a key in the JWKS of the auth server is not usable'
const PRIVATE = 'the auth server publishes a private key: anyone who has read it can sign tokens'
const EMPTY = 'the JWKS of the auth server has no usable key; its tokens are refused'
const BACK = 'the JWKS of the auth server is back'

type Line = [level: string, msg: string, fields: Record<string, unknown>]

/** The log lines since the last call. */
const newLines = ({ lines }: TestStore): Line[] =>
  lines.splice(0).map(({ level, msg, fields }) => [level, msg, fields])

/** The log lines of a fetch, and of two more that find the same JWKS. */
async function fetchThrice (setup: TestStore, keys: readonly unknown[]): Promise<Line[]> {
  setup.source.keys = keys
  for (let i = 0; i < 3; i++) {
    setup.clock.advance(60_000)
    await setup.store.ready()
  }
  return newLines(setup)
}

const found = (kid: string, algorithm: string, msg = FOUND): Line => ['info', msg, { kid, algorithms: [algorithm] }]

t.test('the log tells what happened, once for each change', async t => {
  const setup = createTestStore([k1.jwk])
  const { store, source, clock } = setup
  const news = async () => {
    for (let i = 0; i < 20; i++) {
      await ask(store, 'k1')
      await ask(store, 'k2')
      await settle()
    }
    return newLines(setup)
  }
  t.same(await news(), [found('k1', 'EdDSA')])

  source.keys = [k1.jwk, k2.jwk]
  clock.advance(3000)
  t.same(await news(), [found('k2', 'ES256', ROTATED)])

  source.keys = [k1Replaced.jwk, k2.jwk]
  clock.advance(staleAfter)
  t.same(await news(), [['warn', REPLACED, { kid: 'k1' }]])

  source.fault = DOWN
  const downSince = clock.now() + staleAfter
  const since = new Date(downSince).toISOString()
  const fields = { code: 'connection_refused', systemCode: 'ECONNREFUSED', jwksUrl: source.url, keys: 2 }
  const down = ['warn', `the JWKS has been unreachable since ${since}`, fields]
  for (const step of [staleAfter, 500, 1000, 15_000, 15_000]) {
    clock.advance(step)
    t.same(await news(), step === staleAfter ? [down] : [])
  }

  source.fault = undefined
  source.keys = [k2.jwk]
  clock.advance(15_000)
  t.same(await news(), [['info', BACK, { downFor: clock.now() - downSince }], ['warn', LEFT, { kid: 'k1' }]])
  clock.advance(staleAfter)
  t.same(await news(), [])
})

t.test('the log has one line for each key', async t => {
  const setup = createTestStore([])
  t.same(await fetchThrice(setup, [k1.jwk, k2.jwk]), [found('k1', 'EdDSA'), found('k2', 'ES256')])
  t.same(
    await fetchThrice(setup, [createSigningKey('ES256', 'k3').jwk]),
    [found('k3', 'ES256', ROTATED), ['warn', LEFT, { kid: 'k1' }], ['warn', LEFT, { kid: 'k2' }]]
  )
})

t.test('keys with one kid are one line, and their order matters', async t => {
  const setup = createTestStore([])
  const rsa = createSigningKey('RS256', 'k1')
  t.same(await fetchThrice(setup, [k1.jwk, rsa.jwk]), [['info', FOUND, { kid: 'k1', algorithms: ['EdDSA', 'RS256'] }]])
  t.same(await fetchThrice(setup, [rsa.jwk, k1.jwk]), [['warn', REPLACED, { kid: 'k1' }]])
  t.same(await fetchThrice(setup, [rsa.jwk]), [['warn', REPLACED, { kid: 'k1' }]])
})

t.test('one of two keys with the same kid is replaced', async t => {
  const [one, other] = [1, 2].map(() => createSigningKey('ES256', 'k1'))
  const setup = createTestStore([])
  await fetchThrice(setup, [k1.jwk, one!.jwk])
  t.same(await fetchThrice(setup, [k1.jwk, other!.jwk]), [['warn', REPLACED, { kid: 'k1' }]])
})

t.test('a key that the JWKS has twice is not reported as replaced', async t => {
  t.same(await fetchThrice(createTestStore([]), [k1.jwk, k1.jwk]), [found('k1', 'EdDSA')])
})

t.test('a key that nobody needed for long is not reported as new', async t => {
  const setup = await createWarmStore()
  setup.clock.advance(1e9)
  t.same(await fetchThrice(setup, [k1.jwk]), [])
})

t.test('of many unusable entries the first 20 have a line each', async t => {
  const setup = createTestStore([])
  const entries = Array.from({ length: 25 }, () => null)
  const lines = await fetchThrice(setup, [k1.jwk, ...entries])
  t.equal(lines.filter(([, msg]) => msg === UNUSABLE).length, 20)
  t.same(lines.at(-1), ['warn', 'more entries in the JWKS of the auth server are not usable', { entries: 5 }])
})

t.test('a JWKS without a usable key is one error line', async t => {
  const setup = createTestStore([])
  t.same(await fetchThrice(setup, []), [['error', EMPTY, { entries: 0 }]], 'at the first fetch')
  t.same(await fetchThrice(setup, [k1.jwk, k2.jwk]), [found('k1', 'EdDSA'), found('k2', 'ES256')])
  t.same(await fetchThrice(setup, []), [['error', EMPTY, { entries: 0 }]], 'when it was emptied')
  t.same(await fetchThrice(setup, [k1.jwk]), [found('k1', 'EdDSA')])
  t.same(await fetchThrice(setup, [{ ...k1.jwk, use: 'enc' }]), [
    ['error', EMPTY, { entries: 1 }],
    ['warn', UNUSABLE, { kid: 'k1', fault: 'use' }]
  ], 'when its keys became unusable')
})

t.test('an unusable entry is reported once, and again when it comes again', async t => {
  const setup = createTestStore([])
  const bad = { ...k2.jwk, use: 'enc' }
  const unusable: Line = ['warn', UNUSABLE, { kid: 'k2', fault: 'use' }]
  t.same(await fetchThrice(setup, [bad, k1.jwk]), [found('k1', 'EdDSA'), unusable])
  t.same(await fetchThrice(setup, [k1.jwk, bad]), [], 'wherever it is in the JWKS')
  const malformed: Line = ['warn', UNUSABLE, { kid: 'k2', fault: 'malformed' }]
  t.same(await fetchThrice(setup, [k1.jwk, { ...k2.jwk, x: 1 }]), [malformed])
  t.same(await fetchThrice(setup, [k1.jwk, k2.jwk]), [found('k2', 'ES256', ROTATED)])
  t.same(await fetchThrice(setup, [k1.jwk, bad]), [['warn', SPOILT, { kid: 'k2' }], unusable])
})

t.test('entries that nobody can tell apart are counted', async t => {
  const setup = createTestStore([])
  const malformed: Line = ['warn', UNUSABLE, { kid: null, fault: 'malformed' }]
  t.same(await fetchThrice(setup, [null, k1.jwk]), [found('k1', 'EdDSA'), malformed])
  t.same(await fetchThrice(setup, ['x', 1, k1.jwk, null]), [malformed, malformed], 'two more')
  t.same(await fetchThrice(setup, [k1.jwk, null]), [], 'fewer')
  t.same(await fetchThrice(setup, [k1.jwk, null, {}]), [['warn', UNUSABLE, { kid: null, fault: 'kty' }]])
})

t.test('a private key is an error, whether it is the key of a kid or not', async t => {
  const setup = createTestStore([])
  const jwk = k2.privateKey.export({ format: 'jwk' })
  t.same(await fetchThrice(setup, [k1.jwk, k2.jwk, { ...jwk, kid: 'k2' }, jwk]), [
    found('k1', 'EdDSA'),
    found('k2', 'ES256'),
    ['error', PRIVATE, { kid: 'k2' }],
    ['error', PRIVATE, { kid: null }]
  ])
})

t.test('a JWKS that is too long is reported once', async t => {
  const setup = createTestStore([])
  const long = (length: number) => [k1.jwk, ...Array<unknown>(length - 1).fill(k1.jwk)]
  const tooLong = (entries: number): Line =>
    ['warn', 'the JWKS has more than 1000 entries; the others are ignored', { code: 'too_many_keys', entries }]
  t.same(await fetchThrice(setup, long(MAX_ENTRIES)), [found('k1', 'EdDSA')])
  t.same(await fetchThrice(setup, long(MAX_ENTRIES + 1)), [tooLong(1001)])
  t.same(await fetchThrice(setup, long(MAX_ENTRIES + 2)), [])
  t.same(await fetchThrice(setup, long(1)), [])
  t.same(await fetchThrice(setup, long(MAX_ENTRIES + 1)), [tooLong(1001)])
})

t.test('the log has nothing on unknown keys, however many come', async t => {
  const { store, clock, lines } = await createWarmStore()
  for (let i = 0; i < 200; i++) {
    await ask(store, `unknown-${i}`)
    clock.advance(1000)
  }
  t.same(lines, [])
})

t.test('whoever hears of a new key finds it in the status', async t => {
  const { store } = createTestStore([k1.jwk])
  const seen: string[][] = []
  const listener = () => { seen.push(store.status().keys.map(({ kid }) => kid)) }
  subscribe(CHANNELS.keyChange, listener)
  t.teardown(() => unsubscribe(CHANNELS.keyChange, listener))
  await store.ready()
  t.same(seen, [['k1']])
})

t.test('the log says how many keys are still trusted in an outage', async t => {
  for (const [age, keys] of [[staleAfter, 2], [1e9, 0]] as const) {
    const setup = await createWarmStore({}, [k1, k2])
    setup.source.fault = DOWN
    setup.clock.advance(age)
    await setup.store.ready().catch(() => {})
    t.match(newLines(setup), [['warn', /unreachable/, { code: 'connection_refused', keys }]])
  }
})

t.test('the log never holds a JWK or what a source failed with', async t => {
  const jwk = k2.privateKey.export({ format: 'jwk' })
  const setup = createTestStore([k1.jwk, { ...jwk, kid: 'private' }])
  const { store, source, clock, lines } = setup
  await ask(store)
  source.fault = new Error('said by the server')
  clock.advance(staleAfter)
  await ask(store)
  const text = JSON.stringify(lines)
  t.equal(lines.length, 3)
  for (const secret of [k1.jwk.x, k2.jwk.x, jwk.d, 'said by the server']) t.notOk(text.includes(secret!))
})

t.test('a key that left is not called unusable because another entry is', async t => {
  const setup = await createWarmStore({}, [k1, k2])
  const lines = await fetchThrice(setup, [k1.jwk, { ...createSigningKey('ES256', 'k3').jwk, use: 'enc' }])
  t.strictSame(lines, [['warn', LEFT, { kid: 'k2' }], ['warn', UNUSABLE, { kid: 'k3', fault: 'use' }]])
})

t.test('a second key under a known kid is a replaced key', async t => {
  const setup = await createWarmStore()
  t.strictSame(await fetchThrice(setup, [k1.jwk, k1Replaced.jwk]), [['warn', REPLACED, { kid: 'k1' }]])
})

t.test('20 unusable entries get a line each, and no line counts the others', async t => {
  const setup = await createWarmStore()
  const entries = Array.from({ length: 20 }, (_, i) => ({ ...k2.jwk, kid: `e${i}`, use: 'enc' }))
  const lines = await fetchThrice(setup, [k1.jwk, ...entries])
  t.strictSame(lines, entries.map(({ kid }) => ['warn', UNUSABLE, { kid, fault: 'use' }]))
})

t.test('an unusable entry in front of a known one is the only new one', async t => {
  const setup = await createWarmStore()
  const [one, two] = ['one', 'two'].map(kid => ({ ...k2.jwk, kid, use: 'enc' }))
  await fetchThrice(setup, [k1.jwk, one])
  t.strictSame(await fetchThrice(setup, [k1.jwk, two, one]), [['warn', UNUSABLE, { kid: 'two', fault: 'use' }]])
})

t.test('the line of a failure without a code of the system has none', async t => {
  const setup = await createWarmStore()
  setup.source.fault = new JwksFetchError('timeout')
  setup.clock.advance(60_000)
  await t.rejects(setup.store.ready())
  const [[, , fields] = []] = newLines(setup)
  t.strictSame(fields, { code: 'timeout', jwksUrl: setup.source.url, keys: 1 })
})

t.test('subscribers of the channels get each fetch and each change', async t => {
  const messages: unknown[] = []
  const listen = (message: unknown) => { messages.push(message) }
  for (const name of [CHANNELS.jwksFetch, CHANNELS.keyChange]) {
    subscribe(name, listen)
    t.teardown(() => unsubscribe(name, listen))
  }
  const { store, source, clock } = createTestStore([k1.jwk])
  const fetch = { authUrl: AUTH_URL, url: source.url, duration: 0 }
  await store.ready()
  t.strictSame(messages.splice(0), [
    { ...fetch, outcome: 'ok', code: null }, { authUrl: AUTH_URL, kid: 'k1', change: 'found' }
  ])
  source.fault = DOWN
  clock.advance(60_000)
  await t.rejects(store.ready())
  t.strictSame(messages, [{ ...fetch, outcome: 'error', code: 'connection_refused' }])
})
