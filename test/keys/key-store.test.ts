import t from 'tap'
import { JwksFetchError } from '../../lib/auth-server/fetch-jwks.js'
import {
  ask, AT_ONCE, createTestStore, createWarmStore, DEFAULT_POLICY, DOWN, flood, k1, k1Replaced, k2, settle, staleAfter,
  UNAVAILABLE, UNAVAILABLE_AT_ONCE, UNKNOWN, UNKNOWN_AT_ONCE, WAITED
} from '../fixtures/key-store.js'
import { createSigningKey } from '../fixtures/signing.js'
import { responseHeaders } from '../../lib/http/error-response.js'

const { maxAge, staleIfError } = DEFAULT_POLICY
const ALMOST_ONE = 1 - Number.EPSILON
const SPOILT = 'a key of the auth server is no longer usable; its tokens are refused'

// The promises and their numbers are those of docs/reference/keys.md.

t.test('promise 1: a fresh key', async t => {
  for (const { random, freshFor } of [
    { random: 0, freshFor: maxAge },
    { random: 0.5, freshFor: maxAge * 0.95 },
    { random: ALMOST_ONE, freshFor: maxAge * 0.9 }
  ]) {
    t.test(`costs no fetch and no wait for ${freshFor} ms when random is ${random}`, async t => {
      const { store, source, clock } = await createWarmStore({}, [k1], random)
      for (const step of [0, 1, freshFor - 2]) {
        clock.advance(step)
        t.match(await ask(store), AT_ONCE)
      }
      await settle()
      t.equal(source.calls.length, 0, 'one millisecond before')
      clock.advance(1)
      t.match(await ask(store), AT_ONCE)
      await settle()
      t.equal(source.calls.length, 1, 'exactly then')
      t.match(await ask(store), AT_ONCE)
      await settle()
      t.equal(source.calls.length, 1, 'and it is fresh again')
    })
  }

  t.test('is fresh from the start of the fetch that confirmed it, not from its end', async t => {
    const { store, source, clock } = createTestStore([k1.jwk])
    const startedAt = clock.now()
    const release = source.hold()
    const asked = ask(store)
    clock.advance(4000)
    release()
    t.match(await asked, WAITED)
    t.equal(store.status().keys[0]?.confirmedAt, new Date(startedAt).toISOString())
    clock.set(startedAt + maxAge - 1)
    t.match(await ask(store), AT_ONCE)
    t.equal(source.calls.length, 1)
    clock.advance(1)
    t.match(await ask(store), AT_ONCE)
    t.equal(source.calls.length, 2)
  })

  t.test('draws a new jitter for each refresh', async t => {
    const { store, source, clock, dice } = await createWarmStore()
    clock.advance(maxAge)
    dice.value = 0.5
    await ask(store)
    await settle()
    clock.advance(maxAge * 0.95 - 1)
    await ask(store)
    t.equal(source.calls.length, 1)
    clock.advance(1)
    await ask(store)
    t.equal(source.calls.length, 2)
  })

  t.test('stays the very same object while its material is the same', async t => {
    const { store, source, clock } = await createWarmStore()
    const { key } = await ask(store)
    source.keys = [{ ...k1.jwk, use: 'sig', anything: 'else' }]
    for (let i = 0; i < 3; i++) {
      clock.advance(staleAfter)
      t.equal((await ask(store)).key, key)
    }
    t.equal(source.calls.length, 3)
  })

  t.test('never is, with a maxAge of 0', async t => {
    const { store, source } = await createWarmStore({ maxAge: 0 })
    t.match(await ask(store), AT_ONCE)
    await settle()
    t.equal(source.calls.length, 1)
  })

  t.test('is asked for each time, with a maxAge and a staleWhileRevalidate of 0', async t => {
    const { store, source } = await createWarmStore({ maxAge: 0, staleWhileRevalidate: 0 })
    t.match(await ask(store), WAITED)
    t.match(await ask(store), WAITED)
    t.equal(source.calls.length, 2)
  })
})

t.test('promise 2: an ageing key', async t => {
  for (const age of [maxAge, maxAge + 1, staleAfter - 1]) {
    t.test(`serves at once at ${age} ms, while one refresh runs that nobody waits for`, async t => {
      const { store, source, clock } = await createWarmStore()
      const release = source.hold()
      clock.advance(age)
      for (let i = 0; i < 100; i++) t.match(await ask(store), AT_ONCE)
      await settle()
      t.equal(source.calls.length, 1)
      release()
      await settle()
      clock.advance(maxAge - 1)
      t.match(await ask(store), AT_ONCE)
      t.equal(source.calls.length, 1)
    })
  }

  for (const { name, keys, answer } of [
    { name: 'is gone', keys: [], answer: 'unknown_key' },
    { name: 'is no longer usable', keys: [{ ...k1.jwk, use: 'enc' }], answer: 'unusable_key' }
  ] as const) {
    t.test(`is refused from the moment at which the background refresh sees that it ${name}`, async t => {
      const { store, source, clock } = await createWarmStore()
      source.keys = [...keys]
      clock.advance(maxAge)
      t.match(await ask(store), AT_ONCE)
      await settle()
      t.match(await ask(store), { answer, waited: false })
      t.equal(source.calls.length, 1)
    })
  }

  t.test('keeps working when the background refresh fails, without an unhandled rejection', async t => {
    const { store, source, clock } = await createWarmStore()
    source.fault = DOWN
    clock.advance(maxAge)
    for (let i = 0; i < 10; i++) {
      t.match(await ask(store), AT_ONCE)
      await settle()
    }
    t.equal(source.calls.length, 1, 'and is not asked for during the back-off')
    clock.advance(499)
    t.match(await ask(store), AT_ONCE)
    t.equal(source.calls.length, 1)
    clock.advance(1)
    t.match(await ask(store), AT_ONCE)
    t.equal(source.calls.length, 2)
  })
})

t.test('promise 3: past that', async t => {
  for (const age of [staleAfter, staleAfter + 1, staleIfError, staleIfError + 1, 100 * staleIfError]) {
    t.test(`a request waits for the refresh at ${age} ms`, async t => {
      const { store, source, clock } = await createWarmStore()
      clock.advance(age)
      t.match(await ask(store), WAITED)
      t.match(await ask(store), AT_ONCE)
      t.equal(source.calls.length, 1)
    })

    t.test(`a key that left is refused at ${age} ms`, async t => {
      const { store, source, clock } = await createWarmStore()
      source.keys = [k2.jwk]
      clock.advance(age)
      t.match(await ask(store), UNKNOWN)
      t.same(store.status().keys, [])
    })
  }

  t.test('a key that left is refused at the latest maxAge + staleWhileRevalidate after it left', async t => {
    for (const leftAt of [1, 60_000, maxAge - 1, maxAge]) {
      for (const random of [0, 0.5, ALMOST_ONE]) {
        const setup = await createWarmStore({}, [k1], random)
        const { store, source, clock } = setup
        const start = clock.now()
        clock.advance(leftAt)
        source.keys = []
        let lastServed = 0
        for (let elapsed = leftAt; elapsed <= leftAt + staleAfter + 2000; elapsed += 500) {
          clock.set(start + elapsed)
          if ((await ask(store)).answer === 'key') lastServed = elapsed
          await settle()
        }
        t.ok(lastServed > 0)
        t.ok(lastServed < leftAt + staleAfter, `left at ${leftAt}, last served at ${lastServed}`)
      }
    }
  })

  t.test('other material under the same kid ends the old key at once', async t => {
    for (const age of [maxAge, staleAfter]) {
      const { store, source, clock } = await createWarmStore()
      const { key: old } = await ask(store)
      source.keys = [k1Replaced.jwk]
      clock.advance(age)
      await ask(store)
      await settle()
      const { key, waited } = await ask(store)
      t.equal(waited, false)
      t.not(key, old)
      t.ok(key?.publicKey.equals(k1Replaced.publicKey))
    }
  })

  t.test('the same material for other algorithms is another key', async t => {
    const rsa = createSigningKey('RS256', 'rsa')
    const { store, source, clock } = await createWarmStore({}, [rsa])
    source.keys = [{ ...rsa.jwk, alg: 'PS256' }]
    clock.advance(staleAfter)
    t.same((await ask(store, 'rsa')).key?.algorithms, ['PS256'])
  })

  t.test('a removed key does not come back with an outage', async t => {
    const { store, source, clock } = await createWarmStore()
    source.keys = []
    clock.advance(staleAfter)
    t.match(await ask(store), UNKNOWN)
    source.fault = DOWN
    for (const step of [0, 2999, 1, 500, 15_000, 600_000, staleIfError]) {
      clock.advance(step)
      t.not((await ask(store)).answer, 'key', `${step} ms later`)
    }
  })

  t.test('a response counts if no other fetch has confirmed the key meanwhile', async t => {
    const { store, source, clock } = await createWarmStore()
    clock.advance(staleAfter)
    const release = source.hold()
    const waiting = [ask(store), ask(store), ask(store)]
    source.keys = []
    release()
    for (const outcome of await Promise.all(waiting)) t.match(outcome, UNKNOWN)
    t.equal(source.calls.length, 1)
  })
})

t.test('promise 4: in an outage', async t => {
  for (const { age, outcome } of [
    { age: maxAge, outcome: AT_ONCE },
    { age: staleAfter - 1, outcome: AT_ONCE },
    { age: staleAfter, outcome: WAITED },
    { age: staleIfError - 1, outcome: WAITED },
    { age: staleIfError, outcome: UNAVAILABLE },
    { age: staleIfError + 1, outcome: UNAVAILABLE }
  ]) {
    t.test(`that begins with a key of ${age} ms: ${outcome.answer}`, async t => {
      const { store, source, clock } = await createWarmStore()
      source.fault = DOWN
      clock.advance(age)
      t.match(await ask(store), outcome)
    })
  }

  t.test('a known key serves at once between two tries, for staleIfError since it was confirmed', async t => {
    const { store, source, clock } = await createWarmStore()
    const start = clock.now()
    source.fault = DOWN
    clock.set(start + maxAge)
    await ask(store)
    await settle()
    while (clock.now() < start + staleIfError - 1) {
      clock.set(Math.min(clock.now() + 7000, start + staleIfError - 1))
      t.equal((await ask(store)).answer, 'key')
      t.match(await ask(store), AT_ONCE)
    }
    clock.advance(1)
    t.equal((await ask(store)).answer, 'jwks_unavailable', 'exactly at the limit')
    t.same(store.status().keys, [])
    source.fault = undefined
    clock.advance(15_000)
    t.match(await ask(store), WAITED, 'and is back after the first success')
  })

  t.test('only one request at a time waits for the try, all others use the key', async t => {
    const { store, source, clock } = await createWarmStore()
    source.fault = DOWN
    clock.advance(staleAfter)
    await ask(store)
    clock.advance(500)
    const release = source.hold()
    const first = ask(store)
    for (let i = 0; i < 100; i++) t.match(await ask(store), AT_ONCE)
    release()
    t.match(await first, WAITED)
    t.equal(source.calls.length, 2)
  })

  t.test('all who wait for the first failing refresh are served', async t => {
    const { store, source, clock } = await createWarmStore()
    source.fault = DOWN
    clock.advance(staleAfter)
    const outcomes = await Promise.all(Array.from({ length: 1000 }, () => ask(store)))
    t.ok(outcomes.every(({ answer }) => answer === 'key'))
    t.equal(source.calls.length, 1)
  })

  t.test('a key that reaches its limit while the try is under way is not served', async t => {
    const { store, source, clock } = await createWarmStore()
    source.fault = DOWN
    clock.advance(staleIfError - 1000)
    const release = source.hold()
    const asked = ask(store)
    clock.advance(1000)
    release()
    t.match(await asked, UNAVAILABLE)
  })

  t.test('"not in the set" is no outage: it ends the key whatever came before', async t => {
    const { store, source, clock } = await createWarmStore()
    source.fault = DOWN
    clock.advance(staleAfter)
    t.match(await ask(store), WAITED)
    source.fault = undefined
    source.keys = []
    clock.advance(500)
    t.match(await ask(store), UNKNOWN)
    source.fault = DOWN
    clock.advance(3000)
    t.not((await ask(store)).answer, 'key')
  })

  t.test('a staleIfError of 0 serves no longer than staleWhileRevalidate', async t => {
    const { store, source, clock } = await createWarmStore({ staleIfError: 0 })
    source.fault = DOWN
    clock.advance(staleAfter - 1)
    t.match(await ask(store), AT_ONCE)
    await settle()
    t.equal(store.status().keys.length, 1)
    clock.advance(1)
    t.match(await ask(store), UNAVAILABLE_AT_ONCE)
    t.same(store.status().keys, [])
    clock.advance(500)
    t.match(await ask(store), UNAVAILABLE)
  })

  t.test('whatever a source throws counts as one', async t => {
    for (const [fault, code] of [
      [DOWN, 'ECONNREFUSED'], [new TypeError('no'), 'unexpected'], ['text', 'unexpected'], [null, 'unexpected']
    ] as const) {
      const { store, source, clock } = await createWarmStore()
      source.fault = fault
      clock.advance(staleAfter)
      t.match(await ask(store), WAITED)
      t.equal(store.status().lastError, code)
    }
  })
})

t.test('promise 5: rotation', async t => {
  for (const elapsed of [0, 1, 29_999, maxAge + 1]) {
    t.test(`a new kid is found by one fetch, ${elapsed} ms after another fetch`, async t => {
      const { store, source, clock } = await createWarmStore()
      source.keys = [k1.jwk, k2.jwk]
      clock.advance(elapsed)
      t.match(await ask(store, 'k2'), WAITED)
      t.same(source.calls, ['k2'])
      t.match(await ask(store, 'k2'), AT_ONCE)
      t.match(await ask(store, 'k1'), AT_ONCE, 'and the old one keeps working')
    })
  }

  t.test('is found while a fetch for another key is under way', async t => {
    const { store, source, clock } = await createWarmStore()
    clock.advance(staleAfter)
    const release = source.hold()
    const old = ask(store)
    source.keys = [k1.jwk, k2.jwk]
    const fresh = ask(store, 'k2')
    release()
    t.match(await old, WAITED)
    t.match(await fresh, WAITED)
    t.same(source.calls, ['k1', 'k2'])
  })

  t.test('ten new keys at once are all found', async t => {
    const keys = Array.from({ length: 10 }, (_, i) => createSigningKey('EdDSA', `new-${i}`))
    const { store, source } = await createWarmStore({ requestsPerMinute: 60 })
    source.keys = keys.map(({ jwk }) => jwk)
    // The warm store has spent one of its ten.
    for (const { kid } of keys.slice(1)) t.match(await ask(store, kid), WAITED)
  })
})

t.test('promise 6: one fetch at a time for each key', async t => {
  t.test('1,000 requests on a cold start are one fetch, and all are served', async t => {
    const { store, source } = createTestStore([k1.jwk])
    const outcomes = await Promise.all(Array.from({ length: 1000 }, () => ask(store)))
    t.ok(outcomes.every(({ answer, key }) => answer === 'key' && key === outcomes[0]!.key))
    t.same(source.calls, ['k1'])
  })

  t.test('those that come while it is under way join it, whatever has become of the budget', async t => {
    const setup = createTestStore([k1.jwk])
    const release = setup.source.hold()
    const first = ask(setup.store)
    const others = Array.from({ length: 20 }, (_, i) => ask(setup.store, `other-${i}`))
    const second = ask(setup.store)
    release()
    t.match(await first, WAITED)
    t.match(await second, WAITED)
    t.equal((await Promise.all(others)).filter(({ answer }) => answer === 'unknown_key').length, 9)
    t.equal(setup.source.calls.length, 10)
  })

  for (const { name, fault, outcome } of [
    { name: 'fails', fault: DOWN, outcome: UNAVAILABLE },
    { name: 'finds nothing', fault: undefined, outcome: UNKNOWN }
  ]) {
    t.test(`1,000 requests share a fetch that ${name}, and the next one is a new fetch`, async t => {
      const { store, source, clock } = createTestStore([])
      source.fault = fault
      const outcomes = await Promise.all(Array.from({ length: 1000 }, () => ask(store)))
      for (const one of outcomes) if (one.answer !== outcome.answer || !one.waited) t.fail(one.answer)
      t.equal(source.calls.length, 1)
      source.fault = undefined
      source.keys = [k1.jwk]
      clock.advance(3000)
      t.match(await ask(store), WAITED)
      t.equal(source.calls.length, 2)
    })
  }

  t.test('1,000 requests for a key that is too old are one fetch', async t => {
    const { store, source, clock } = await createWarmStore()
    clock.advance(staleAfter)
    const outcomes = await Promise.all(Array.from({ length: 1000 }, () => ask(store)))
    t.ok(outcomes.every(({ answer }) => answer === 'key'))
    t.equal(source.calls.length, 1)
  })

  t.test('two keys are fetched side by side', async t => {
    const { store, source } = createTestStore([k1.jwk, k2.jwk])
    const release = source.hold()
    const both = [ask(store, 'k1'), ask(store, 'k2')]
    t.same(source.calls, ['k1', 'k2'])
    release()
    for (const outcome of await Promise.all(both)) t.match(outcome, WAITED)
  })
})

t.test('promise 7: flood', async t => {
  t.test('unknown keys cause no more fetches than the budget: ten at once, then 30 a minute', async t => {
    const setup = await createWarmStore()
    const { store, source, clock } = setup
    for (let second = 0; second < 300; second++) {
      for (let i = 0; i < 20; i++) {
        const { answer } = await ask(store, `flood-${second}-${i}`)
        if (answer !== 'unknown_key' && answer !== 'jwks_unavailable') t.fail(answer)
      }
      t.match(await ask(store), AT_ONCE)
      clock.advance(1000)
    }
    t.ok(source.calls.length <= 10 + 30 * 5, `${source.calls.length} fetches`)
    t.ok(source.calls.length >= 8 + 30 * 5, `${source.calls.length} fetches`)
  })

  for (const requestsPerMinute of [1, 6, 600]) {
    t.test(`the budget is what requestsPerMinute says: ${requestsPerMinute}`, async t => {
      const setup = createTestStore([], { requestsPerMinute })
      t.same(await flood(setup, 11), { unknown_key: 10, jwks_unavailable: 1 })
      setup.clock.advance(60_000 / requestsPerMinute - 1)
      t.match(await ask(setup.store, 'one-more'), { ...UNAVAILABLE_AT_ONCE, retryAfter: 1 })
      setup.clock.advance(1)
      t.match(await ask(setup.store, 'one-more'), UNKNOWN)
      t.equal(setup.source.calls.length, 11)
    })
  }

  t.test('says in Retry-After when the budget will have something left', async t => {
    const setup = createTestStore([], { requestsPerMinute: 6 })
    await flood(setup, 10)
    for (const [elapsed, retryAfter] of [[0, 10], [1, 10], [998, 10], [1, 9], [8000, 1], [999, 1]] as const) {
      setup.clock.advance(elapsed)
      t.match(await ask(setup.store, 'late'), { ...UNAVAILABLE_AT_ONCE, retryAfter })
    }
    setup.clock.advance(1)
    t.match(await ask(setup.store, 'late'), UNKNOWN)
  })

  t.test('known keys neither use nor need the budget', async t => {
    const setup = await createWarmStore()
    const { store, source, clock } = setup
    await flood(setup, 50)
    source.calls.length = 0
    clock.advance(maxAge)
    await flood(setup, 50, 'again')
    t.equal(source.calls.length, 10)
    t.match(await ask(store), AT_ONCE)
    await settle()
    t.equal(source.calls.length, 11, 'a refresh in the background')
    clock.advance(staleAfter)
    await flood(setup, 50, 'and-again')
    t.match(await ask(store), WAITED)
    t.equal(source.calls.length, 22, 'a refresh that is waited for')
    t.same(await flood(setup, 1, 'last'), { jwks_unavailable: 1 }, 'of an empty budget')
  })

  t.test('a key is not looked for again within 3 seconds after it was not there', async t => {
    const { store, source, clock } = createTestStore([])
    t.match(await ask(store), UNKNOWN)
    for (const step of [0, 1, 2998]) {
      clock.advance(step)
      t.match(await ask(store), UNKNOWN_AT_ONCE)
    }
    t.equal(source.calls.length, 1)
    clock.advance(1)
    t.match(await ask(store), UNKNOWN)
    t.equal(source.calls.length, 2)
  })

  t.test('a key that was not there yet is accepted within 5 seconds of being published', async t => {
    for (const publishedAfter of [0, 1, 1500, 2999, 3000, 4000]) {
      const { store, source, clock } = createTestStore([])
      await ask(store)
      for (let elapsed = 0; elapsed < publishedAfter; elapsed += 500) {
        clock.advance(500)
        await ask(store)
      }
      source.keys = [k1.jwk]
      let waited = 0
      while ((await ask(store)).answer !== 'key') {
        clock.advance(100)
        waited += 100
        if (waited > 10_000) break
      }
      t.ok(waited <= 5000, `published after ${publishedAfter}, accepted ${waited} ms later`)
    }
  })

  t.test('with an empty budget a key that was recently seen to be absent is 401, any other 503', async t => {
    const setup = createTestStore([], { requestsPerMinute: 0.5 })
    const { store, clock, source } = setup
    await ask(store, 'absent')
    await flood(setup, 9)
    for (const [elapsed, outcome] of [
      [0, UNKNOWN_AT_ONCE],
      [3000, UNKNOWN_AT_ONCE],
      [56_999, UNKNOWN_AT_ONCE],
      [1, UNAVAILABLE_AT_ONCE],
      [1, UNAVAILABLE_AT_ONCE]
    ] as const) {
      clock.advance(elapsed)
      t.match(await ask(store, 'absent'), outcome)
      t.match(await ask(store, 'never-seen'), UNAVAILABLE_AT_ONCE)
    }
    t.equal(source.calls.length, 10)
  })

  t.test('with an empty budget a key that was recently seen to be unusable is refused as that', async t => {
    const setup = createTestStore([{ ...k1.jwk, use: 'enc' }], { requestsPerMinute: 0.5 })
    await ask(setup.store)
    await flood(setup, 9)
    setup.clock.advance(3000)
    t.match(await ask(setup.store), { answer: 'unusable_key', waited: false })
  })

  t.test('a removed key is remembered like any other that is absent, and found again', async t => {
    const { store, source, clock } = await createWarmStore()
    source.keys = []
    clock.advance(staleAfter)
    t.match(await ask(store), UNKNOWN)
    source.keys = [k1.jwk]
    clock.advance(2999)
    t.match(await ask(store), UNKNOWN_AT_ONCE)
    clock.advance(1)
    t.match(await ask(store), WAITED)
    t.match(await ask(store), AT_ONCE)
  })
})

t.test('promise 8: after a failure', async t => {
  for (const { random, factor } of [{ random: 0, factor: 1 }, { random: ALMOST_ONE, factor: 0.8 }]) {
    t.test(`the next try waits a back-off that doubles, with jitter ${random}`, async t => {
      const { store, source, clock, dice } = createTestStore([k1.jwk])
      dice.value = random
      source.fault = DOWN
      let fetches = 0
      for (const pause of [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000].map(ms => ms * factor)) {
        t.match(await ask(store), UNAVAILABLE)
        t.equal(source.calls.length, ++fetches)
        t.match(await ask(store), { ...UNAVAILABLE_AT_ONCE, retryAfter: Math.ceil(pause / 1000) })
        t.match(await ask(store, 'another'), UNAVAILABLE_AT_ONCE)
        clock.advance(pause - 1)
        t.match(await ask(store), { ...UNAVAILABLE_AT_ONCE, retryAfter: 1 }, 'one millisecond before')
        t.equal(source.calls.length, fetches)
        clock.advance(1)
      }
      source.fault = undefined
      t.match(await ask(store), WAITED, 'and the first success ends it')
      t.match(await ask(store, 'another'), UNKNOWN)
    })
  }

  t.test('Retry-After is what is left of the back-off', async t => {
    const { store, source, clock } = createTestStore([])
    source.fault = DOWN
    for (let i = 0; i < 6; i++) {
      await ask(store)
      clock.advance(15_000)
    }
    t.match(await ask(store), { ...UNAVAILABLE, retryAfter: 15 })
    for (const [elapsed, retryAfter] of [[0, 15], [1, 15], [999, 14], [13_000, 1], [999, 1]] as const) {
      clock.advance(elapsed)
      t.match(await ask(store), { ...UNAVAILABLE_AT_ONCE, retryAfter })
    }
  })

  t.test('it is the store that rests, not the key: no kid gets a fetch, and none costs budget', async t => {
    const setup = createTestStore([])
    setup.source.fault = DOWN
    await ask(setup.store)
    t.same(await flood(setup, 100), { jwks_unavailable: 100 })
    t.equal(setup.source.calls.length, 1)
    setup.source.fault = undefined
    setup.clock.advance(500)
    t.same(await flood(setup, 100), { unknown_key: 9, jwks_unavailable: 91 })
  })

  t.test('ten fetches that fail together are one failure', async t => {
    const { store, source, clock } = createTestStore([])
    source.fault = DOWN
    for (const elapsed of [5000, 0]) {
      clock.advance(60_000)
      source.fault = undefined
      await ask(store, 'any')
      source.fault = DOWN
      const release = source.hold()
      const asked = Array.from({ length: 9 }, (_, i) => ask(store, `kid-${elapsed}-${i}`))
      clock.advance(elapsed)
      release()
      await Promise.all(asked)
      t.equal(store.status().nextTryAt, new Date(clock.now() + 500).toISOString(), `after ${elapsed} ms`)
    }
  })

  t.test('a later outage begins with the shortest pause again', async t => {
    const { store, source, clock } = await createWarmStore()
    for (let outage = 0; outage < 3; outage++) {
      source.fault = DOWN
      clock.advance(staleAfter)
      await ask(store)
      t.equal(store.status().nextTryAt, new Date(clock.now() + 500).toISOString())
      clock.advance(500)
      source.fault = undefined
      await ask(store)
      t.equal(store.status().nextTryAt, null)
    }
  })

  t.test('a success of any fetch ends the outage for all keys', async t => {
    const { store, source, clock } = await createWarmStore({}, [k1, k2])
    source.fault = DOWN
    clock.advance(staleAfter)
    await ask(store, 'k1')
    source.fault = undefined
    clock.advance(500)
    t.match(await ask(store, 'k2'), WAITED)
    t.match(await ask(store, 'k1'), WAITED)
    t.same(source.calls, ['k1', 'k2', 'k1'])
  })
})

t.test('promise 9: what does not count as a key', async t => {
  const faults: Array<{ name: string, jwk: Record<string, unknown>, level: 'warn' | 'error' }> = [
    { name: 'of an unknown kind', jwk: { kty: 'XYZ' }, level: 'warn' },
    { name: 'for encryption', jwk: { ...k2.jwk, use: 'enc' }, level: 'warn' },
    { name: 'with members of wrong types', jwk: { ...k2.jwk, x: 5 }, level: 'warn' },
    { name: 'that is private', jwk: { ...k2.privateKey.export({ format: 'jwk' }) }, level: 'error' },
    { name: 'that is symmetric', jwk: { kty: 'oct', k: 'c2VjcmV0' }, level: 'error' }
  ]
  for (const { name, jwk, level } of faults) {
    t.test(`a JWK ${name} is refused and logged once, and spoils no other`, async t => {
      const { store, source, clock, lines } = createTestStore([{ ...jwk, kid: 'bad' }, k1.jwk])
      t.match(await ask(store, 'bad'), { answer: 'unusable_key', waited: true })
      t.match(await ask(store, 'bad'), { answer: 'unusable_key', waited: false })
      clock.advance(3000)
      t.match(await ask(store, 'bad'), { answer: 'unusable_key', waited: true })
      t.match(await ask(store), WAITED)
      t.equal(lines.filter(line => line.level === level).length, 1)
      t.equal(store.status().lastError, null)

      source.keys = [k1.jwk, { ...k2.jwk, kid: 'bad' }]
      clock.advance(3000)
      t.match(await ask(store, 'bad'), WAITED, 'once it is mended it serves')

      source.keys = [{ ...jwk, kid: 'bad' }, k1.jwk]
      clock.advance(staleAfter)
      lines.length = 0
      t.match(await ask(store, 'bad'), { answer: 'unusable_key', waited: true })
      t.match(
        lines,
        [{ level: 'warn', msg: SPOILT }, { level, fields: { kid: 'bad' } }],
        'and when it is spoilt again it is logged again'
      )
      t.equal(lines.length, 2)
    })
  }
})

t.test('promise 11: status() and ready()', async t => {
  t.test('status() of a cold store', async t => {
    const { store, source } = createTestStore([])
    t.strictSame(store.status(), { url: source.url, keys: [], lastError: null, nextTryAt: null })
  })

  t.test('status() is plain data, and a copy', async t => {
    const { store, source, clock } = createTestStore([k1.jwk, { ...k2.jwk, alg: undefined }])
    await ask(store, 'k1')
    clock.advance(5)
    await ask(store, 'k2')
    const expected = {
      url: source.url,
      keys: [
        { kid: 'k1', alg: 'EdDSA', confirmedAt: new Date(clock.now() - 5).toISOString() },
        { kid: 'k2', alg: null, confirmedAt: new Date(clock.now()).toISOString() }
      ],
      lastError: null,
      nextTryAt: null
    }
    t.strictSame(store.status(), expected)
    t.strictSame(JSON.parse(JSON.stringify(store.status())), expected)
    const status = store.status()
    status.keys[0]!.kid = 'changed'
    status.keys.length = 0
    t.strictSame(store.status(), expected)
  })

  t.test('status() in an outage and after it', async t => {
    const { store, source, clock } = await createWarmStore()
    source.fault = new JwksFetchError('timeout')
    clock.advance(staleAfter)
    await ask(store)
    t.match(store.status(), {
      keys: [{ kid: 'k1' }], lastError: 'timeout', nextTryAt: new Date(clock.now() + 500).toISOString()
    })
    source.fault = DOWN
    clock.advance(500)
    await ask(store)
    t.match(store.status(), { lastError: 'ECONNREFUSED', nextTryAt: new Date(clock.now() + 1000).toISOString() })
    source.fault = undefined
    clock.advance(1000)
    await ask(store)
    t.match(store.status(), { lastError: null, nextTryAt: null })
  })

  t.test('status() shows no key that would not serve', async t => {
    for (const [policy, limit] of [[{}, staleIfError], [{ staleIfError: 0 }, staleAfter]] as const) {
      const { store, clock } = await createWarmStore(policy)
      clock.advance(limit - 1)
      t.equal(store.status().keys.length, 1)
      clock.advance(1)
      t.equal(store.status().keys.length, 0)
    }
  })

  t.test('keys that nobody asks for any more are dropped', async t => {
    const { store, clock, lines } = await createWarmStore({}, [k1, k2])
    clock.advance(staleIfError)
    await ask(store, 'k2')
    t.same(store.status().keys.map(({ kid }) => kid), ['k2'])
    await ask(store, 'k1')
    t.match(lines, [{ level: 'info', fields: { kid: 'k1' } }], 'found like a new one')
  })

  t.test('ready() resolves when the JWKS can be fetched, whatever keys it holds', async t => {
    for (const keys of [[k1.jwk], []]) {
      const { store, source } = createTestStore(keys)
      await t.resolves(store.ready())
      t.equal(source.calls.length, 1)
      t.same(store.status().keys, [])
    }
  })

  t.test('ready() rejects with the 503 when it cannot, and costs no fetch during the back-off', async t => {
    const { store, source, clock } = createTestStore([k1.jwk])
    source.fault = DOWN
    await t.rejects(store.ready(), { statusCode: 503, code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' })
    t.match(await store.ready().catch(responseHeaders), { 'Retry-After': '1' })
    clock.advance(499)
    await t.rejects(store.ready(), { statusCode: 503, code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' })
    t.equal(source.calls.length, 1)
    source.fault = undefined
    clock.advance(1)
    await t.resolves(store.ready())
    t.equal(store.status().lastError, null)
  })

  t.test('ready() shares its fetch, and needs no budget', async t => {
    const setup = createTestStore([])
    await flood(setup, 20)
    setup.source.calls.length = 0
    await Promise.all([setup.store.ready(), setup.store.ready(), setup.store.ready()])
    t.equal(setup.source.calls.length, 1)
  })

  t.test('ready() logs a failure and the return, like any other fetch', async t => {
    const { store, source, clock, lines } = createTestStore([])
    source.fault = DOWN
    await t.rejects(store.ready())
    clock.advance(500)
    await t.rejects(store.ready())
    source.fault = undefined
    clock.advance(1000)
    await store.ready()
    t.same(lines.map(({ level }) => level), ['warn', 'info'])
  })
})

t.test('a clock that is set back', async t => {
  for (const setBack of [1, 5000, 100 * staleIfError]) {
    t.test(`by ${setBack} ms makes a key old: it is confirmed again`, async t => {
      const { store, source, clock } = await createWarmStore()
      clock.advance(-setBack)
      t.match(await ask(store), WAITED)
      t.equal(source.calls.length, 1)
      t.match(await ask(store), AT_ONCE)
    })

    t.test(`by ${setBack} ms does not keep a removed key alive`, async t => {
      const { store, source, clock } = await createWarmStore()
      source.keys = []
      clock.advance(-setBack)
      t.match(await ask(store), UNKNOWN)
    })

    t.test(`by ${setBack} ms does not keep a new key out`, async t => {
      const { store, source, clock } = createTestStore([])
      t.match(await ask(store), UNKNOWN)
      source.keys = [k1.jwk]
      clock.advance(-setBack)
      let waited = 0
      while ((await ask(store)).answer !== 'key' && waited < 10_000) {
        clock.advance(1000)
        waited += 1000
      }
      t.ok(waited <= 5000)
    })

    t.test(`by ${setBack} ms does not prolong an outage`, async t => {
      const { store, source, clock } = createTestStore([k1.jwk])
      source.fault = DOWN
      await ask(store)
      clock.advance(-setBack)
      const { answer, retryAfter } = await ask(store)
      t.equal(answer, 'jwks_unavailable')
      t.ok(retryAfter! <= 15)
      source.fault = undefined
      clock.advance(15_000)
      t.match(await ask(store), WAITED)
    })
  }
})
