import t from 'tap'
import {
  ask, createTestStore, createWarmStore, DOWN, flood, k1, k1Replaced, k2, settle, staleAfter
} from '../fixtures/key-store.js'

const LEFT = 'a key left the JWKS of the auth server; its tokens are refused'

// The promises and their numbers are those of docs/reference/keys.md.

t.test('promise 10: the log', async t => {
  t.test('tells what happened, once for each change', async t => {
    const { store, source, clock, lines } = createTestStore([k1.jwk])
    const news = async () => {
      for (let i = 0; i < 20; i++) {
        await ask(store, 'k1')
        await ask(store, 'k2')
        await settle()
      }
      return lines.splice(0).map(({ level, msg, fields }) => [level, msg, fields])
    }
    t.same(await news(), [['info', 'found a key of the auth server', { kid: 'k1', algorithms: ['EdDSA'] }]])

    source.keys = [k1.jwk, k2.jwk]
    clock.advance(3000)
    t.same(
      await news(),
      [['info', 'the auth server rotated its keys: found a new one', { kid: 'k2', algorithms: ['ES256'] }]]
    )

    source.keys = [k1Replaced.jwk, k2.jwk]
    clock.advance(staleAfter)
    t.same(await news(), [['warn', 'the auth server replaced a key under the same kid', { kid: 'k1' }]])

    source.fault = DOWN
    const downSince = clock.now() + staleAfter
    const since = new Date(downSince).toISOString()
    const down = [
      'warn', `the JWKS has been unreachable since ${since}`, { code: 'ECONNREFUSED', keys: 2 }
    ]
    for (const step of [staleAfter, 500, 1000, 15_000, 15_000]) {
      clock.advance(step)
      t.same(await news(), step === staleAfter ? [down] : [])
    }

    source.fault = undefined
    source.keys = [k2.jwk]
    clock.advance(15_000)
    t.same(await news(), [
      ['info', 'the JWKS of the auth server is back', { downFor: clock.now() - downSince }],
      ['warn', LEFT, { kid: 'k1' }]
    ])
    clock.advance(staleAfter)
    t.same(await news(), [])
  })

  t.test('has nothing on unknown keys, however many come', async t => {
    const setup = await createWarmStore()
    await flood(setup, 200)
    t.same(setup.lines, [])
  })

  t.test('never holds a JWK or what a source failed with', async t => {
    const {
      store, source, clock, lines
    } = createTestStore([k1.jwk, { ...k2.privateKey.export({ format: 'jwk' }), kid: 'private' }])
    await ask(store)
    await ask(store, 'private')
    source.fault = new Error('said by the server')
    clock.advance(staleAfter)
    await ask(store)
    const text = JSON.stringify(lines)
    t.equal(lines.length, 3)
    for (const secret of [k1.jwk.x, k2.jwk.x, k2.privateKey.export({ format: 'jwk' }).d, 'said by the server']) {
      t.notOk(text.includes(secret!))
    }
  })
})
