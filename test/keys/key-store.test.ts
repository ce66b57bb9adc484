import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { JwksFetchError } from '../../lib/auth-server/find-jwks.js'
import type { TokenInvalidError } from '../../lib/contract/errors.js'
import type { KeyStore } from '../../lib/keys/key-store.js'
import {
  ask, AT_ONCE, createTestStore, createWarmStore, DEFAULT_POLICY, DOWN, k1, k1Replaced, k2, settle, staleAfter,
  UNAVAILABLE, UNAVAILABLE_AT_ONCE, UNKNOWN, UNKNOWN_AT_ONCE, WAITED
} from '../fixtures/key-store.js'
import { createSigningKey } from '../fixtures/signing.js'
import { responseHeaders } from '../../lib/http/error-response.js'

const { maxAge, staleIfError } = DEFAULT_POLICY
const ALMOST_ONE = 1 - Number.EPSILON

/** Asks for keys that do not exist, one after the other, and counts the answers. */
async function flood (store: KeyStore, count: number, prefix = 'flood'): Promise<Record<string, number>> {
  const answers: Record<string, number> = {}
  for (let i = 0; i < count; i++) {
    const { answer } = await ask(store, `${prefix}-${i}`)
    answers[answer] = (answers[answer] ?? 0) + 1
  }
  return answers
}

// The promises and their numbers are those of docs/reference/keys.md.

t.test('a fresh key', async t => {
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

  t.test('is confirmed together with all other keys', async t => {
    const { store, source, clock } = await createWarmStore({}, [k1, k2])
    clock.advance(maxAge)
    t.match(await ask(store, 'k1'), AT_ONCE)
    await settle()
    clock.advance(maxAge - 1)
    t.match(await ask(store, 'k2', 'ES256'), AT_ONCE)
    await settle()
    t.equal(source.calls.length, 1)
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

  t.test('is fetched for each request, with a maxAge and a staleWhileRevalidate of 0', async t => {
    const { store, source } = await createWarmStore({ maxAge: 0, staleWhileRevalidate: 0 })
    t.match(await ask(store), WAITED)
    t.match(await ask(store), WAITED)
    t.equal(source.calls.length, 2)
  })
})

t.test('an ageing key', async t => {
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
      t.match(await ask(store), { answer, waited: true }, 'by a fetch of its own, as any unknown key')
      t.match(await ask(store), { answer, waited: false })
      t.equal(source.calls.length, 2)
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

t.test('after that', async t => {
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
      t.match(store.status().keys, [{ kid: 'k2' }])
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
        for (let elapsed = leftAt; elapsed <= leftAt + staleAfter + 2000; elapsed += 1000) {
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

  t.test('all who wait for a fetch learn from it that the key is gone', async t => {
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

t.test('in an outage', async t => {
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
      [DOWN, 'connection_refused'], [new TypeError('no'), 'unexpected'], ['text', 'unexpected'], [null, 'unexpected']
    ] as const) {
      const { store, source, clock } = await createWarmStore()
      source.fault = fault
      clock.advance(staleAfter)
      t.match(await ask(store), WAITED)
      t.equal(store.status().lastError, code)
    }
  })
})

t.test('rotation', async t => {
  for (const elapsed of [0, 1, 2999, 29_999, maxAge + 1]) {
    t.test(`a new kid is found by one fetch, ${elapsed} ms after another fetch`, async t => {
      const { store, source, clock } = await createWarmStore()
      source.keys = [k1.jwk, k2.jwk]
      clock.advance(elapsed)
      t.match(await ask(store, 'k2'), WAITED)
      t.equal(source.calls.length, 1)
      t.match(await ask(store, 'k2'), AT_ONCE)
      t.match(await ask(store, 'k1'), AT_ONCE, 'and the old one keeps working')
      t.equal(source.calls.length, 1)
    })
  }

  t.test('is found again and again, by one fetch each', async t => {
    const { store, source } = await createWarmStore()
    for (let i = 0; i < 10; i++) {
      source.keys = [...source.keys, createSigningKey('EdDSA', `new-${i}`).jwk]
      t.match(await ask(store, `new-${i}`), WAITED)
      t.equal(source.calls.length, i + 1)
    }
  })

  t.test('is found by a fetch that is under way for another reason', async t => {
    for (const age of [maxAge, staleAfter]) {
      const { store, source, clock } = await createWarmStore()
      clock.advance(age)
      const release = source.hold()
      const old = ask(store)
      source.keys = [k1.jwk, k2.jwk]
      const fresh = ask(store, 'k2')
      release()
      t.match(await old, { answer: 'key' })
      t.match(await fresh, WAITED)
      t.equal(source.calls.length, 1)
    }
  })

  t.test('ten new keys at once are found by one fetch', async t => {
    const keys = Array.from({ length: 10 }, (_, i) => createSigningKey('EdDSA', `new-${i}`))
    const { store, source } = await createWarmStore()
    source.keys = keys.map(({ jwk }) => jwk)
    for (const outcome of await Promise.all(keys.map(({ kid }) => ask(store, kid)))) t.match(outcome, WAITED)
    t.equal(source.calls.length, 1)
  })
})

t.test('one fetch at a time', async t => {
  t.test('1,000 requests on a cold start are one fetch, and all are served', async t => {
    const { store, source } = createTestStore([k1.jwk])
    const outcomes = await Promise.all(Array.from({ length: 1000 }, () => ask(store)))
    t.ok(outcomes.every(({ answer, key }) => answer === 'key' && key === outcomes[0]!.key))
    t.equal(source.calls.length, 1)
  })

  t.test('answers everybody: known, unknown and unusable keys, and ready()', async t => {
    const { store, source } = createTestStore([k1.jwk, k2.jwk, { ...k1.jwk, kid: 'enc', use: 'enc' }])
    const release = source.hold()
    const ready = store.ready()
    const asked = ['k1', 'k2', 'enc', 'unknown', 'another'].map(kid => ask(store, kid))
    release()
    await ready
    t.match(await Promise.all(asked), [
      WAITED, WAITED, { answer: 'unusable_key', waited: true }, UNKNOWN, UNKNOWN
    ])
    t.equal(source.calls.length, 1)
  })

  t.test('is joined by whoever comes while it is under way, also while no unknown key may cause one', async t => {
    const { store, source, clock } = await createWarmStore({ requestsPerMinute: 1 })
    t.match(await ask(store, 'unknown'), UNKNOWN)
    clock.advance(30_000)
    t.match(await ask(store, 'unknown'), UNKNOWN_AT_ONCE)
    const release = source.hold()
    const ready = store.ready()
    source.keys = [k1.jwk, k2.jwk]
    const asked = [ask(store, 'k2'), ask(store, 'unknown')]
    release()
    await ready
    t.match(await Promise.all(asked), [WAITED, UNKNOWN])
    t.equal(source.calls.length, 2)
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

  t.test('1,000 requests for keys that are too old are one fetch', async t => {
    const { store, source, clock } = await createWarmStore({}, [k1, k2])
    clock.advance(staleAfter)
    const outcomes = await Promise.all(Array.from({ length: 1000 }, (_, i) => ask(store, i % 2 === 0 ? 'k1' : 'k2')))
    t.ok(outcomes.every(({ answer }) => answer === 'key'))
    t.equal(source.calls.length, 1)
  })

  t.test('is one for each registration: two stores share nothing', async t => {
    const [one, other] = [createTestStore([k1.jwk]), createTestStore([])]
    t.match(await ask(one.store), WAITED)
    t.match(await ask(other.store), UNKNOWN)
    t.match([one.source.calls.length, other.source.calls.length], [1, 1])
  })
})

t.test('flood', async t => {
  t.test('unknown keys cause at most 20 fetches a minute, each 3 seconds after the one before', async t => {
    const { store, source, clock } = await createWarmStore()
    const start = clock.now()
    const fetchedAt: number[] = []
    for (let elapsed = 0; elapsed < 300_000; elapsed += 500) {
      clock.set(start + elapsed)
      const before = source.calls.length
      const answers = await flood(store, 20, `flood-${elapsed}`)
      if (answers.unknown_key !== 20) t.fail(JSON.stringify(answers))
      t.match(await ask(store), AT_ONCE)
      if (source.calls.length > before) fetchedAt.push(elapsed)
    }
    t.equal(source.calls.length, 100)
    t.same(fetchedAt, Array.from({ length: 100 }, (_, i) => i * 3000))
  })

  for (const requestsPerMinute of [0.5, 6, 600]) {
    t.test(`the rate is what requestsPerMinute says: ${requestsPerMinute}`, async t => {
      const { store, source, clock } = createTestStore([], { requestsPerMinute })
      t.same(await flood(store, 100), { unknown_key: 100 })
      clock.advance(60_000 / requestsPerMinute - 1)
      t.match(await ask(store, 'one-more'), UNKNOWN_AT_ONCE)
      t.equal(source.calls.length, 1)
      clock.advance(1)
      t.match(await ask(store, 'one-more'), UNKNOWN)
      t.equal(source.calls.length, 2)
    })
  }

  t.test('a really new key is accepted within 3 seconds of its publication', async t => {
    for (const publishedAfter of [0, 1, 1500, 2999, 3000, 4000]) {
      const { store, source, clock } = await createWarmStore()
      const start = clock.now()
      const answers = new Set<string>()
      let acceptedAfter: number | undefined
      for (let elapsed = 0; elapsed < 10_000 && acceptedAfter === undefined; elapsed += 100) {
        clock.set(start + elapsed)
        if (elapsed >= publishedAfter) source.keys = [k1.jwk, k2.jwk]
        await flood(store, 2)
        const { answer } = await ask(store, 'k2')
        if (answer === 'key') acceptedAfter = elapsed - publishedAfter
        else answers.add(answer)
      }
      t.ok(acceptedAfter !== undefined && acceptedAfter <= 3000, `published after ${publishedAfter}`)
      t.ok([...answers].every(answer => answer === 'unknown_key'), 'and is never a 503')
    }
  })

  t.test('a slow fetch is not followed by a second one before it has ended', async t => {
    const { store, source, clock } = await createWarmStore()
    const release = source.hold()
    const asked = []
    for (let i = 0; i < 10; i++) {
      asked.push(ask(store, `flood-${i}`))
      clock.advance(1000)
    }
    release()
    for (const outcome of await Promise.all(asked)) t.match(outcome, UNKNOWN)
    t.equal(source.calls.length, 1)
    t.match(await ask(store, 'unknown'), UNKNOWN, 'the miss counts from the start of the fetch')
    t.equal(source.calls.length, 2)
  })

  t.test('a fetch that found every key it was made for does not delay the next', async t => {
    const { store, source, clock } = await createWarmStore()
    clock.advance(staleAfter)
    t.match(await ask(store), WAITED)
    t.match(await ask(store, 'unknown'), UNKNOWN)
    t.equal(source.calls.length, 2)
    t.match(await ask(store, 'unknown'), UNKNOWN_AT_ONCE)
  })

  t.test('nothing is remembered of an unknown kid: it is accepted once another one has led to a fetch', async t => {
    const { store, source, clock } = await createWarmStore()
    t.match(await ask(store, 'k2'), UNKNOWN)
    source.keys = [k1.jwk, k2.jwk]
    clock.advance(3000)
    t.match(await ask(store, 'unknown'), UNKNOWN)
    t.match(await ask(store, 'k2'), AT_ONCE)
  })

  t.test('no memory is left behind by it', async t => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const { store, clock } = await createWarmStore()
    const run = async (count: number) => {
      for (let i = 0; i < count; i++) {
        clock.advance(100)
        await ask(store, `${i}-`.padEnd(512, 'x'))
      }
      collect()
      return process.memoryUsage().heapUsed
    }
    const before = await run(1000)
    const grown = await run(10_000) - before
    t.ok(grown < 2 ** 21, `${grown} bytes after 10,000 kids of 512 bytes`)
  })

  t.test('an unusable key is refused as that, and looked for again after 3 seconds', async t => {
    const { store, source, clock } = createTestStore([{ ...k1.jwk, use: 'enc' }])
    t.match(await ask(store), { answer: 'unusable_key', waited: true })
    clock.advance(2999)
    t.match(await ask(store), { answer: 'unusable_key', waited: false })
    clock.advance(1)
    t.match(await ask(store), { answer: 'unusable_key', waited: true })
    t.equal(source.calls.length, 2)
  })

  t.test('a removed key is refused like any other that is unknown, and found again', async t => {
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

  t.test('in an outage an unknown key gets 503, with no fetch during the pause', async t => {
    const { store, source, clock } = await createWarmStore()
    source.fault = DOWN
    t.match(await ask(store, 'unknown'), UNAVAILABLE)
    t.same(await flood(store, 100), { jwks_unavailable: 100 })
    t.match(await ask(store), AT_ONCE)
    t.equal(source.calls.length, 1)
    source.fault = undefined
    clock.advance(500)
    t.same(await flood(store, 100), { unknown_key: 100 })
    t.equal(source.calls.length, 2, 'a failed fetch is no miss')
  })
})

t.test('after a failure', async t => {
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

  t.test('the pause is the one that the auth server asks for', async t => {
    const { store, source, clock } = await createWarmStore()
    source.fault = new JwksFetchError('rate_limited', 10_000)
    t.match(await ask(store, 'unknown'), { ...UNAVAILABLE, retryAfter: 10 })
    t.match(store.status(), { lastError: 'rate_limited', nextTryAt: new Date(clock.now() + 10_000).toISOString() })
    clock.advance(9999)
    t.match(await ask(store, 'unknown'), UNAVAILABLE_AT_ONCE)
    t.match(await ask(store), AT_ONCE, 'while known keys keep working')
    source.fault = undefined
    clock.advance(1)
    t.match(await ask(store, 'unknown'), UNKNOWN)
    t.equal(source.calls.length, 2)
  })

  t.test('all who waited are one failure', async t => {
    for (const elapsed of [5000, 0]) {
      const { store, source, clock } = createTestStore([])
      source.fault = DOWN
      const release = source.hold()
      const asked = Array.from({ length: 9 }, (_, i) => ask(store, `kid-${i}`))
      clock.advance(elapsed)
      release()
      for (const outcome of await Promise.all(asked)) t.match(outcome, { ...UNAVAILABLE, retryAfter: 1 })
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

  t.test('one success ends the outage for all keys', async t => {
    const { store, source, clock } = await createWarmStore({}, [k1, k2])
    source.fault = DOWN
    clock.advance(staleAfter)
    await ask(store, 'k1')
    source.fault = undefined
    clock.advance(500)
    t.match(await ask(store, 'k2'), WAITED)
    t.match(await ask(store, 'k1'), AT_ONCE)
    t.equal(source.calls.length, 2)
  })
})

t.test('what does not count as a key', async t => {
  for (const [name, jwk] of Object.entries({
    'of an unknown kind': { kty: 'XYZ' },
    'for encryption': { ...k2.jwk, use: 'enc' },
    'with members of wrong types': { ...k2.jwk, x: 5 },
    'that is private': { ...k2.privateKey.export({ format: 'jwk' }) },
    'that is symmetric': { kty: 'oct', k: 'c2VjcmV0' }
  })) {
    t.test(`a JWK ${name} is refused, and spoils no other`, async t => {
      const { store, source, clock } = createTestStore([{ ...jwk, kid: 'bad' }, k1.jwk])
      t.match(await ask(store, 'bad'), { answer: 'unusable_key', waited: true })
      t.match(await ask(store, 'bad'), { answer: 'unusable_key', waited: false })
      t.match(await ask(store), AT_ONCE)
      t.equal(store.status().lastError, null)

      source.keys = [k1.jwk, { ...k2.jwk, kid: 'bad' }]
      clock.advance(3000)
      t.match(await ask(store, 'bad'), WAITED, 'once it is mended it serves')

      source.keys = [{ ...jwk, kid: 'bad' }, k1.jwk]
      clock.advance(staleAfter)
      t.match(await ask(store, 'bad'), { answer: 'unusable_key', waited: true })
    })
  }

  t.test('entries that are no JWK at all spoil no other', async t => {
    const { store } = createTestStore([null, 'k1', 1, true, [], {}, [k1.jwk], k1.jwk, null])
    t.match(await ask(store), WAITED)
    t.match(store.status(), { keys: { length: 1 }, lastError: null })
  })

  t.test('of entries with one kid the first usable one counts that is for the algorithm of the token', async t => {
    const [eddsa, es256] = [createSigningKey('EdDSA', 'same'), createSigningKey('ES256', 'same')]
    const [unusable, later] = [createSigningKey('ES256', 'same'), createSigningKey('ES256', 'same')]
    const { store, source } = createTestStore([{ ...unusable.jwk, use: 'enc' }, eddsa.jwk, es256.jwk, later.jwk])
    t.ok((await ask(store, 'same', 'ES256')).key?.publicKey.equals(es256.publicKey))
    t.ok((await ask(store, 'same', 'EdDSA')).key?.publicKey.equals(eddsa.publicKey))
    t.same((await ask(store, 'same', 'RS256')).key?.algorithms, ['EdDSA'], 'the first one if none is for it')
    t.equal(source.calls.length, 1)
  })

  t.test('a JWKS without entries ends all keys at once, and the next one with a key brings it back', async t => {
    const { store, source, clock } = await createWarmStore({}, [k1, k2])
    const { key } = await ask(store)
    source.keys = []
    clock.advance(60_000)
    await store.ready()
    t.match(await ask(store, 'k1'), UNKNOWN)
    t.match(await ask(store, 'k2'), UNKNOWN_AT_ONCE)
    t.equal(store.isTrusted(key!), false)
    t.match(store.status(), { keys: [], lastError: null, nextTryAt: null })
    source.keys = [k1.jwk, k2.jwk]
    clock.advance(3000)
    t.match(await ask(store, 'k1'), WAITED)
    t.match(await ask(store, 'k2'), AT_ONCE)
  })
})

t.test('isTrusted()', async t => {
  t.test('says whether get() would return this very key at once, and keeps it fresh', async t => {
    const { store, source, clock } = await createWarmStore()
    const key = (await ask(store)).key!
    t.equal(store.isTrusted(key), true)
    clock.advance(maxAge)
    t.equal(store.isTrusted(key), true)
    t.equal(source.calls.length, 1, 'a refresh in the background')
    await settle()
    clock.advance(staleAfter)
    t.equal(store.isTrusted(key), false, 'a request has to wait for the refresh')
    t.equal(source.calls.length, 1, 'which is not started here')
  })

  t.test('keeps known keys in an outage', async t => {
    const { store, source, clock } = await createWarmStore()
    const key = (await ask(store)).key!
    source.fault = DOWN
    clock.advance(staleAfter)
    await ask(store)
    t.equal(store.isTrusted(key), true, 'during the pause')
    clock.advance(500)
    t.equal(store.isTrusted(key), false, 'one request has to find out whether the outage is over')
    const release = source.hold()
    const asked = ask(store)
    t.equal(store.isTrusted(key), true, 'which the others do not wait for')
    release()
    await asked
    clock.advance(staleIfError)
    t.equal(store.isTrusted(key), false)
  })

  t.test('does not know the key of another store, or one that was replaced or has left', async t => {
    const { store, source, clock } = await createWarmStore()
    const key = (await ask(store)).key!
    t.equal((await createWarmStore()).store.isTrusted(key), false)
    source.keys = [k1Replaced.jwk]
    clock.advance(60_000)
    await store.ready()
    t.equal(store.isTrusted(key), false)
    const replaced = (await ask(store)).key!
    source.keys = [k2.jwk]
    clock.advance(60_000)
    await store.ready()
    t.equal(store.isTrusted(replaced), false)
  })
})

t.test('another URL of the JWKS may be searched for only while no key is trusted', async t => {
  const { store, source, clock } = createTestStore([k1.jwk])
  const mayMoveAfter = async (elapsed: number) => {
    clock.advance(elapsed)
    await store.ready().catch(() => {})
    return source.calls.pop()
  }
  t.equal(await mayMoveAfter(0), true, 'before the first fetch')
  t.equal(await mayMoveAfter(60_000), false)
  source.fault = DOWN
  t.equal(await mayMoveAfter(staleIfError - 1), false, 'in an outage that known keys outlive')
  t.equal(await mayMoveAfter(500), true, 'in an outage that they do not')
  source.fault = undefined
  t.equal(await mayMoveAfter(15_000), true, 'until a fetch succeeds')
  source.keys = []
  t.equal(await mayMoveAfter(60_000), false, 'while the fetch that finds it emptied is under way')
  t.equal(await mayMoveAfter(60_000), true, 'after it was emptied')
})

t.test('status() and ready()', async t => {
  t.test('status() of a cold store', async t => {
    const { store, source } = createTestStore([])
    t.strictSame(store.status(), { url: source.url, keys: [], lastError: null, nextTryAt: null })
  })

  t.test('status() is plain data, and a copy', async t => {
    const unusable = { ...k1.jwk, kid: 'enc', use: 'enc' }
    const { store, source, clock } = createTestStore([k1.jwk, { ...k2.jwk, alg: undefined }, unusable])
    await store.ready()
    const confirmedAt = new Date(clock.now()).toISOString()
    clock.advance(5)
    const expected = {
      url: source.url,
      keys: [{ kid: 'k1', alg: 'EdDSA', confirmedAt }, { kid: 'k2', alg: null, confirmedAt }],
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
    t.match(store.status(), { lastError: 'connection_refused', nextTryAt: new Date(clock.now() + 1000).toISOString() })
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

  t.test('ready() resolves when the JWKS can be fetched, whatever keys it holds', async t => {
    for (const keys of [[k1.jwk, k2.jwk], []]) {
      const { store, source } = createTestStore(keys)
      await t.resolves(store.ready())
      t.equal(source.calls.length, 1)
      t.equal(store.status().keys.length, keys.length)
    }
  })

  t.test('every published key is known after ready(), even if the auth server is down from then on', async t => {
    const { store, source } = createTestStore([k1.jwk, k2.jwk])
    await store.ready()
    source.fault = DOWN
    t.match(await ask(store, 'k1'), AT_ONCE)
    t.match(await ask(store, 'k2', 'ES256'), AT_ONCE)
    t.equal(source.calls.length, 1)
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

  t.test('ready() shares its fetch, also while no unknown key may cause one', async t => {
    const { store, source, clock } = createTestStore([], { requestsPerMinute: 1 })
    await flood(store, 20)
    source.calls.length = 0
    clock.advance(30_000)
    await Promise.all([store.ready(), store.ready(), store.ready()])
    t.equal(source.calls.length, 1)
  })

  t.test('ready() logs a failure and the return, like any other fetch', async t => {
    const { store, source, clock, lines } = createTestStore([k1.jwk])
    source.fault = DOWN
    await t.rejects(store.ready())
    clock.advance(500)
    await t.rejects(store.ready())
    source.fault = undefined
    clock.advance(1000)
    await store.ready()
    t.same(lines.map(({ level }) => level), ['warn', 'info', 'info'], 'the last one for the key that it found')
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
      t.match(await ask(store), WAITED)
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

t.test('a token with an unknown kid does not keep out one with a known kid, whose key is stale', async t => {
  const { store, clock } = await createWarmStore({ maxAge: 1000, staleWhileRevalidate: 0, requestsPerMinute: 1 })
  t.match(await ask(store, 'unknown'), UNKNOWN)
  clock.advance(2000)
  t.match(await ask(store), WAITED)
})

t.test('the error of an unknown kid has the URL of the JWKS and the first ten kids, for the log', async t => {
  const keys = Array.from({ length: 12 }, (_, i) => ({ ...k1.jwk, kid: `k${i}` }))
  const { store, source } = createTestStore(keys)
  const kids = keys.slice(0, 10).map(({ kid }) => kid)
  const error = await Promise.resolve(store.get('unknown', 'EdDSA')).catch((error: unknown) => error)
  t.match(error, { details: { jwksUrl: source.url } })
  t.strictSame((error as TokenInvalidError).details.kids, kids)
})

t.test('what a connection that lasts needs to know of the keys', async t => {
  const { store: { watched, ...store }, source, clock } = await createWarmStore()
  const { key } = await ask(store)
  let replaced = 0
  watched.onReplaced(() => { replaced++ })

  t.equal(watched.lossOf(key!), null)
  t.equal(watched.refreshIn(), maxAge)
  clock.advance(1000)
  t.equal(watched.refreshIn(), maxAge - 1000)
  clock.advance(staleIfError - 1001)
  t.equal(watched.refreshIn(), 0)
  t.equal(watched.lossOf(key!), null)
  clock.advance(1)
  t.equal(watched.lossOf(key!), 'jwks_unavailable')

  source.fault = DOWN
  await t.rejects(watched.refresh())
  t.equal(watched.refreshIn(), 500, 'the pause after a failure')
  t.equal(replaced, 0)
  source.fault = undefined
  await watched.refresh()
  t.equal(watched.lossOf(key!), null)
  source.keys = [k2.jwk]
  await watched.refresh()
  t.equal(watched.lossOf(key!), 'key_removed')
  t.equal(replaced, 2)
})
