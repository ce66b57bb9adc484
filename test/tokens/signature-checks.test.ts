import { createHook } from 'node:async_hooks'
import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { ALGORITHMS } from '../../lib/index.js'
import { parseJws, type Jws } from '../../lib/tokens/jws.js'
import { createSignatureChecks, type SignatureChecks } from '../../lib/tokens/signature-checks.js'
import { createSigningKey, createSigningKeys, signJws, type SigningKey } from '../fixtures/signing.js'

/** What is in the pool, and what waits. */
const MOST_LATER = 1016
const MOST_LATER_IN_FLOOD = 1001

const KEY = createSigningKey('ES512')
const POLICY = { algorithms: new Set<string>(ALGORITHMS), types: [undefined] }
const jwsOf = (key: SigningKey) => parseJws(signJws(key, { sub: 'u_1' }), POLICY)
const JWS = jwsOf(KEY)
const FORGED = { ...JWS, signature: Buffer.from(JWS.signature.map(byte => byte ^ 1)) }

/** Starts many checks in one turn, and counts those that are over. */
function startMany (checks: SignatureChecks, count: number, jws: Jws = JWS) {
  const progress = { done: 0 }
  const later = Array.from({ length: count }, () => checks.check(jws, KEY.publicKey))
    .filter(outcome => outcome instanceof Promise)
  const all = Promise.all(later.map(async outcome => {
    const isSigned = await outcome
    progress.done++
    return isSigned
  }))
  return { later: later.length, progress, all }
}

t.test('the first check of a turn is done at once, the others later', async t => {
  const checks = createSignatureChecks()
  t.equal(checks.check(JWS, KEY.publicKey), true)
  const second = checks.check(JWS, KEY.publicKey)
  const third = checks.check(FORGED, KEY.publicKey)
  t.ok(second instanceof Promise && third instanceof Promise)
  t.strictSame(await Promise.all([second, third]), [true, false])
  await turn()
  t.equal(checks.check(FORGED, KEY.publicKey), false, 'at once again: nothing is being checked')
  await turn()
  t.equal(checks.check(JWS, KEY.publicKey), true)
})

t.test('while others are being checked, none is done at once', async t => {
  const checks = createSignatureChecks()
  const { all } = startMany(checks, 1000)
  const outcomes = []
  for (let i = 0; i < 3; i++) {
    await turn()
    outcomes.push(checks.check(JWS, KEY.publicKey))
  }
  t.ok(outcomes.every(outcome => outcome instanceof Promise))
  t.strictSame(await Promise.all(outcomes), [true, true, true])
  await all
})

t.test('the verdict on each algorithm is the same in the pool', async t => {
  const others = createSigningKeys()
  for (const [alg, key] of createSigningKeys()) {
    const checks = createSignatureChecks()
    const other = others.get(alg)!
    const jws = jwsOf(key)
    checks.check(jws, key.publicKey)
    t.equal(await checks.check(jws, key.publicKey), true, alg)
    checks.check(jws, key.publicKey)
    t.equal(await checks.check(jws, other.publicKey), false, `${alg} by another key`)
  }
})

t.test('those that wait are bounded: more are done at once, and each has its own verdict', async t => {
  const checks = createSignatureChecks()
  const outcomes = Array.from({ length: 1500 }, (_, i) => {
    const outcome = checks.check(i % 3 === 1 ? FORGED : JWS, KEY.publicKey)
    return { outcome, isLater: outcome instanceof Promise, expected: i % 3 !== 1 }
  })
  t.equal(outcomes.filter(({ isLater }) => isLater).length, MOST_LATER)
  t.strictSame(await Promise.all(outcomes.map(({ outcome }) => outcome)), outcomes.map(({ expected }) => expected))
  await turn()
  t.equal(checks.check(JWS, KEY.publicKey), true, 'nothing is left')
})

t.test('files and DNS lookups get their turn among the checks', async t => {
  const works = { file: () => readFile(new URL(import.meta.url)), lookup: () => lookup('localhost') }
  for (const [name, work] of Object.entries(works)) {
    for (const [jws, most] of [[JWS, MOST_LATER], [FORGED, MOST_LATER_IN_FLOOD]] as const) {
      const { progress, all, later } = startMany(createSignatureChecks(), most + 1, jws)
      t.equal(later, most)
      await work()
      t.ok(progress.done < 500, `${name}: ${progress.done} checks were done before it`)
      await all
    }
  }
})

t.test('after an invalid signature, one check at a time is in the pool until one is valid', async t => {
  const { check } = createSignatureChecks()
  const inPool = new Set<number>()
  let newest = 0
  let most = 0
  const hook = createHook({
    init: (id, type) => { if (type === 'SIGNREQUEST') inPool.add(newest = id) },
    before: id => { if (inPool.delete(id)) most = Math.max(most, inPool.size + 1) }
  }).enable()
  t.teardown(() => { hook.disable() })
  const checks: SignatureChecks = {
    check (jws, key) {
      const outcome = check(jws, key)
      if (!(outcome instanceof Promise)) inPool.delete(newest)
      return outcome
    }
  }

  async function mostOf (jws: Jws, count = 40): Promise<number> {
    most = 0
    await startMany(checks, count, jws).all
    await turn()
    return most
  }

  t.equal(await mostOf(FORGED), 1, 'after the first, which was checked at once')
  t.equal(await mostOf(JWS, 1), 0, 'at once')
  t.equal(await mostOf(JWS), 16)
  t.equal(await mostOf(JWS), 16, 'as before')
  t.equal(await mostOf(FORGED), 1)
  t.equal(await mostOf(FORGED), 1)

  checks.check(JWS, KEY.publicKey)
  const all = Array.from({ length: 100 }, (_, i) => checks.check(i < 16 ? FORGED : JWS, KEY.publicKey))
  most = 0
  await Promise.all(all.slice(0, 16))
  t.equal(most, 16, 'those in the pool stay there')
  most = 0
  await Promise.all(all)
  t.equal(most, 16, 'those that wait start as soon as one is valid')
})
