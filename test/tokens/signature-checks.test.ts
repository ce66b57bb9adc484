import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { ALGORITHMS } from '../../lib/index.js'
import { parseJws, type Jws } from '../../lib/tokens/jws.js'
import { createSignatureChecks, type SignatureChecks } from '../../lib/tokens/signature-checks.js'
import { createSigningKey, signJws, type SigningKey } from '../fixtures/signing.js'

/** What runs in the pool, and what waits. */
const MOST_LATER = 1016

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
  for (const alg of ALGORITHMS) {
    const checks = createSignatureChecks()
    const key = createSigningKey(alg)
    const other = createSigningKey(alg)
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
    const outcome = checks.check(i % 3 === 0 ? FORGED : JWS, KEY.publicKey)
    return { outcome, isLater: outcome instanceof Promise, expected: i % 3 !== 0 }
  })
  t.equal(outcomes.filter(({ isLater }) => isLater).length, MOST_LATER)
  t.strictSame(await Promise.all(outcomes.map(({ outcome }) => outcome)), outcomes.map(({ expected }) => expected))
  await turn()
  t.equal(checks.check(JWS, KEY.publicKey), true, 'nothing is left')
})

t.test('files and DNS lookups get their turn among the checks', async t => {
  const works = { file: () => readFile(new URL(import.meta.url)), lookup: () => lookup('localhost') }
  for (const [name, work] of Object.entries(works)) {
    const { progress, all, later } = startMany(createSignatureChecks(), MOST_LATER, FORGED)
    t.equal(later, MOST_LATER - 1)
    await work()
    t.ok(progress.done < 500, `${name}: ${progress.done} checks were done before it`)
    await all
  }
})
