import t from 'tap'
import { createEnds, type EndReason, type Ends } from '../../lib/connections/ends.js'
import type { BetterAuthOptions } from '../../lib/contract/options.js'
import type { Principal, UserPrincipal } from '../../lib/contract/principal.js'
import { resolveOptions, type ResolvedOptions } from '../../lib/contract/resolve-options.js'
import { createPrincipal } from '../../lib/http/principal.js'
import type { VerificationKey } from '../../lib/keys/jwk.js'
import { USER as USER_TOKEN } from '../../lib/tokens/principal.js'
import type { VerifiedToken } from '../../lib/tokens/verified-token.js'
import { USER } from '../fixtures/expected.js'
import {
  createWarmStore, DEFAULT_POLICY, DOWN, k1, k1Replaced, k2, settle, type TestStore
} from '../fixtures/key-store.js'
import { recordLog, type RecordedLine } from '../fixtures/log.js'
import { encode } from '../fixtures/signing.js'
import { createTimers, type Timers } from '../fixtures/timers.js'

const { maxAge, staleIfError } = DEFAULT_POLICY
const HOUR = 3_600_000
/** Longer than any token lives. */
const LONG = 1000 * HOUR

interface World extends TestStore {
  readonly ends: Ends
  readonly timers: Timers
  readonly log: RecordedLine[]
  readonly options: ResolvedOptions
  readonly key: VerificationKey
  /** The reasons that listeners have got. */
  readonly ended: EndReason[]
  /** The principal of a token of `k1`. */
  principal (expiresIn?: number, verified?: Partial<VerifiedToken>): Principal
  open (expiresIn?: number, verified?: Partial<VerifiedToken>): () => void
}

async function createWorld (policy: BetterAuthOptions['jwks'] = {}): Promise<World> {
  const options = resolveOptions({ authUrl: 'https://id.example.com', jwks: policy }, {})
  const store = await createWarmStore(options.jwks, [k1, k2])
  const timers = createTimers(store.clock)
  const { lines, log } = recordLog()
  const ends = createEnds({ options, keys: store.store.watched, log, now: store.clock.now, setTimer: timers.setTimer })
  const ended: EndReason[] = []
  const key = await store.store.get('k1', 'EdDSA')
  const world: World = {
    ...store,
    ends,
    timers,
    log: lines,
    options,
    key,
    ended,
    principal (expiresIn = LONG, changes = {}) {
      const expiresAt = store.clock.now() + expiresIn
      const verified = {
        token: `${encode({})}.${encode({ exp: expiresAt / 1000 })}.AA`,
        principal: USER_TOKEN,
        user: USER,
        session: null,
        authorization: { roles: [], scopes: [], bannedUntil: undefined },
        options,
        key,
        expiresAt,
        ...changes
      }
      return createPrincipal(verified as VerifiedToken, USER)
    },
    open (...given) { return ends.onEnd(world.principal(...given), reason => { ended.push(reason) }).stop }
  }
  return world
}

t.test('a principal ends once, when its token expires, and nothing is left', async t => {
  for (const expiresIn of [1, 900_000, 100 * 24 * HOUR]) {
    const { open, timers, ended } = await createWorld()
    open(expiresIn, { key: undefined })
    await timers.advance(expiresIn - 1)
    t.strictSame(ended, [], `${expiresIn} ms`)
    await timers.advance(1)
    t.strictSame(ended, ['token_expired'])
    t.equal(timers.waiting, 0)
    t.equal(timers.ran, 1, 'nothing has looked at it before')
    await timers.advance(HOUR)
    t.equal(ended.length, 1)
  }
})

t.test('if the token has already expired, the listener is called after onEnd() has returned', async t => {
  for (const [expiresIn, removed, reason] of [[0, false, 'token_expired'], [-5, false, 'token_expired'],
    [HOUR, true, 'key_removed']] as const) {
    const { ends, principal, timers, source, store, ended } = await createWorld()
    const given = principal(expiresIn)
    if (removed) {
      source.keys = [k2.jwk]
      await store.watched.refresh()
    }
    const { stop } = ends.onEnd(given, reason => { ended.push(reason); stop() })
    t.strictSame(ended, [])
    await timers.advance(1)
    t.strictSame(ended, [reason])
  }
})

t.test('the clock decides, not the timer', async t => {
  const { open, clock, timers, ended } = await createWorld()
  open(HOUR)
  clock.advance(-2 * HOUR)
  await timers.advance(3 * HOUR - 1)
  t.strictSame(ended, [])
  await timers.advance(1)
  t.strictSame(ended, ['token_expired'])
})

t.test('a principal ends as soon as any fetch shows that its key was removed', async t => {
  for (const [name, keys, reason] of [
    ['removed', [k2.jwk], 'key_removed'],
    ['replaced under its kid', [k1Replaced.jwk, k2.jwk], 'key_removed'],
    ['no longer usable', [{ ...k1.jwk, use: 'enc' }, k2.jwk], 'key_removed'],
    ['still there', [k1.jwk], undefined]
  ] as const) {
    const { open, source, store, timers, ended } = await createWorld()
    open()
    open(LONG, { key: undefined })
    source.keys = keys
    await store.watched.refresh()
    t.strictSame(ended, reason === undefined ? [] : [reason], name)
    t.equal(timers.waiting, reason === undefined ? 3 : 1, `${name}: what is left waits`)
  }
})

t.test('keys are fetched whenever maxAge has passed, but only while a connection is watched', async t => {
  const { open, source, timers, ended } = await createWorld()
  await timers.advance(HOUR)
  t.equal(source.calls.length, 0, 'nobody waits')
  const stop = open()
  await timers.advance(1)
  t.equal(source.calls.length, 1, 'they were old')
  await timers.advance(HOUR)
  t.equal(source.calls.length, 7, `every ${maxAge} ms`)
  const others = Array.from({ length: 100 }, () => open())
  await timers.advance(maxAge)
  t.equal(source.calls.length, 8, 'one fetch for all')
  source.keys = [k2.jwk]
  await timers.advance(maxAge)
  t.strictSame(ended, Array(101).fill('key_removed'))
  for (const stop of others) stop()
  stop()
  await timers.advance(HOUR)
  t.equal(source.calls.length, 9, 'nobody waits any more')
  t.equal(timers.waiting, 0)
})

t.test('a token without a key of the JWKS causes no fetch', async t => {
  const { open, source, timers } = await createWorld()
  open(LONG, { key: undefined })
  await timers.advance(HOUR)
  t.equal(source.calls.length, 0)
})

t.test('with a maxAge of 0, keys are fetched once a second', async t => {
  const { open, source, timers } = await createWorld({ maxAge: 0 })
  open()
  await timers.advance(10_500)
  t.equal(source.calls.length, 11)
})

t.test('a request that refreshes the keys saves the fetch', async t => {
  const { open, source, store, clock, timers } = await createWorld()
  open()
  clock.advance(maxAge - 1)
  await store.watched.refresh()
  await timers.advance(maxAge - 1)
  t.equal(source.calls.length, 1)
  await timers.advance(2)
  t.equal(source.calls.length, 2)
})

t.test('an outage ends no connection while its keys are still trusted', async t => {
  const { open, source, timers, ended } = await createWorld()
  open()
  open(LONG, { key: undefined })
  source.fault = DOWN
  await timers.advance(staleIfError - 1)
  t.strictSame(ended, [])
  t.ok(source.calls.length > 10, 'it was tried again after each pause')
  await timers.advance(60_000)
  t.strictSame(ended, ['jwks_unavailable'])
  t.equal(timers.waiting, 1)
})

t.test('after a short outage, no connection has ended', async t => {
  const { open, source, timers, ended } = await createWorld()
  open()
  source.fault = DOWN
  await timers.advance(HOUR / 2)
  source.fault = undefined
  await timers.advance(HOUR)
  t.strictSame(ended, [])
})

t.test('stop() releases everything, also during a fetch', async t => {
  const { open, ends, principal, source, timers, ended } = await createWorld()
  const stop = open(HOUR)
  const release = source.hold()
  await timers.advance(maxAge)
  t.equal(source.calls.length, 1)
  stop()
  stop()
  t.equal(timers.waiting, 0)
  const stopAgain = open(HOUR)
  t.equal(timers.waiting, 1, 'the fetch still runs')
  release()
  await settle()
  t.equal(timers.waiting, 2)
  stopAgain()
  const disposed = ends.onEnd(principal(HOUR), reason => { ended.push(reason) })
  disposed[Symbol.dispose]()
  t.equal(timers.waiting, 0)
  await timers.advance(2 * HOUR)
  t.strictSame(ended, [])
})

t.test('close() releases everything without calling a listener; after it, onEnd() does nothing', async t => {
  const { open, ends, timers, ended } = await createWorld()
  for (let i = 0; i < 3; i++) open(HOUR)
  ends.close()
  t.equal(timers.waiting, 0)
  open(1)()
  open(1)
  t.equal(timers.waiting, 0)
  await timers.advance(2 * HOUR)
  t.strictSame(ended, [])
})

t.test('revoke() ends only the connections that match', async t => {
  const { open, ends, timers, ended } = await createWorld()
  open(HOUR, { tokenDigest: 'a' })
  open(HOUR, { tokenDigest: 'b' })
  ends.revoke(({ tokenDigest }) => tokenDigest === 'a')
  t.strictSame(ended, ['session_revoked'])
  await timers.advance(HOUR)
  t.strictSame(ended, ['session_revoked', 'token_expired'])
})

t.test('a listener that stops or ends others: no other is called after its stop(), and none twice', async t => {
  const { open, ends, principal, ended } = await createWorld()
  let stop = (): void => {}
  ends.onEnd(principal(), () => {
    stop()
    ends.revoke(() => true)
  })
  stop = open()
  open()
  ends.revoke(() => true)
  t.strictSame(ended, ['session_revoked'])
})

t.test('an error of a listener is logged, and the other listeners are called', async t => {
  const { ends, principal, log, ended } = await createWorld()
  const failure = new Error('in a listener')
  ends.onEnd(principal(), () => { throw failure })
  ends.onEnd(principal(), async () => { throw failure })
  ends.onEnd(principal(), reason => { ended.push(reason) })
  ends.revoke(() => true)
  await settle()
  t.strictSame(ended, ['session_revoked'])
  const line = { level: 'error', fields: { err: failure, reason: 'session_revoked' } }
  t.match(log, [line, line])
  t.equal(log.length, 2)
})

t.test('it accepts only a principal of its own registration and a function', async t => {
  const { ends, principal } = await createWorld()
  const other = (await createWorld()).principal()
  const copy = { ...principal() } as UserPrincipal
  const listener = () => {}
  for (const wrong of [other, copy, null, undefined, 'principal', {}] as Principal[]) {
    const refusal = { code: 'FST_BETTER_AUTH_INVALID_OPTION', message: /same registration/ }
    t.throws(() => ends.onEnd(wrong, listener), refusal)
  }
  t.throws(() => ends.onEnd(principal(), 5 as unknown as typeof listener), { message: /function/ })
})

t.test('neither a log nor a copy of a principal shows its token', async t => {
  const { principal } = await createWorld()
  const one = principal()
  const keys = ['kind', 'user', 'via', 'sessionId', 'expiresAt', 'organization']
  t.strictSame(Reflect.ownKeys(one), keys)
  t.ok(Object.isFrozen(one))
  t.equal(Object.getPrototypeOf(one), Object.prototype)
  t.strictSame(Reflect.ownKeys(structuredClone(one)), keys)
})
