import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import betterAuthPlugin, { isBetterAuthError } from '../../lib/index.js'
import { captureLog } from '../fixtures/api.js'
import { createClock, useClock } from '../fixtures/clock.js'
import { startSessionServer, type Person } from '../fixtures/exchange.js'
import { openSqlite } from '../fixtures/sqlite.js'

/** How long it takes, in seconds. `SOAK_SECONDS=600 SOAK_SEED=1 npx tap --disable-coverage test/system/soak.test.ts` */
const SECONDS = Number(process.env.SOAK_SECONDS ?? 8)
const SEED = Number(process.env.SOAK_SEED ?? randomBytes(4).readUInt32LE())
const [MAX_AGE, KEY_MAX_AGE, STALE_IF_ERROR] = [60_000, 120_000, 600_000]

/** The same numbers for the same seed: mulberry32. */
function createRandom (seed: number) {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6D2B79F5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * below)
  }
}

/** Times are those of the moved clock; infinity for what has not happened. */
interface Known {
  readonly person: Person
  readonly key: string
  /** When the end was asked for, and when the server had confirmed it. */
  signedOut: { from: number, until: number }
  banned: { from: number, until: number }
  /** When a request was last accepted, by its credential. */
  readonly acceptedAt: Map<Kind, number>
}

const KINDS = ['session-token', 'session-cookie', 'api-key'] as const
type Kind = typeof KINDS[number]

const NEVER = { from: Infinity, until: Infinity }

t.setTimeout((SECONDS + 120) * 1000)

t.test('sessions come and go while the auth server is killed and restarted: no wrong response', async t => {
  t.comment(`SOAK_SEED=${SEED}`)
  const random = createRandom(SEED)
  const clock = createClock(Date.now())
  useClock(t, clock)
  const startedAt = clock.now()
  const app = Fastify({ logger: captureLog().logger })
  t.teardown(() => app.close())
  app.addHook('onError', async (_request, reply, error) => {
    if (isBetterAuthError(error)) reply.header('x-reason', error.reason)
  })
  const sqlite = await openSqlite(t.testdir())
  let server = await startSessionServer(t, { sqlite, apiKey: { rateLimit: { enabled: false } } })
  await app.register(betterAuthPlugin, {
    authUrl: server.origin,
    exchange: {
      timeout: 120_000,
      maxAge: MAX_AGE,
      staleIfError: STALE_IF_ERROR,
      apiKey: { maxAge: KEY_MAX_AGE }
    }
  })
  app.get('/me', { onRequest: [app.authenticate] }, async ({ user }) => user.id)
  await app.ready()
  const people: Known[] = []
  const counts: Record<string, number> = { kills: 0, 'signed out': 0, banned: 0, created: 0 }
  /** When the auth server was down, or the plugin may not have noticed yet that it is up. */
  const outages: Array<{ from: number, until: number }> = []
  let isUp = true
  let restartedAt = -Infinity
  const wrong: string[] = []

  const isOutage = (from: number, until: number) => outages.some(one => one.from <= until && one.until >= from)
  const count = (name: string) => { counts[name] = (counts[name] ?? 0) + 1 }

  function headersOf ({ person, key }: Known, kind: Kind): Record<string, string> {
    if (kind === 'session-token') return { authorization: `Bearer ${person.token}` }
    return kind === 'session-cookie' ? { cookie: person.cookie } : { 'x-api-key': key }
  }

  /** Judges a response to a request that took from `from` until now. */
  function judge (
    known: Known | undefined, kind: Kind, from: number, status: number, reason: string, id: string
  ): void {
    const until = clock.now()
    const maxAge = kind === 'api-key' ? KEY_MAX_AGE : MAX_AGE
    const wasOutage = isOutage(from, until)
    const bound = from - (wasOutage ? STALE_IF_ERROR : maxAge)
    const end = known === undefined || kind === 'api-key' ? NEVER : known.signedOut
    const seen = known?.acceptedAt.get(kind) ?? -Infinity
    count(`${status}${status === 503 ? ` ${reason}` : ''}`)
    const isRight = {
      // It was alive when it was exchanged, and is somebody's own.
      200: () => known !== undefined && id === known.person.id && end.until > bound && known.banned.until > bound,
      401: () => known === undefined || (end.from <= until && reason === 'credential_refused'),
      403: () => known !== undefined && known.banned.from <= until && reason === 'banned',
      // Whoever was accepted recently is known, and does not notice.
      503: () => reason === 'exchange_budget'
        ? seen === -Infinity
        : wasOutage && (from - seen >= STALE_IF_ERROR - maxAge || end.from <= until || known!.banned.from <= until)
    }[status] ?? (() => false)
    // In an outage, its exchange may be older than that.
    if (status === 200 && !wasOutage) known?.acceptedAt.set(kind, from)
    if (!isRight()) {
      wrong.push(`${status} ${reason} for ${kind} at ${until}: ${JSON.stringify({
        from, wasOutage, seen, end, banned: known?.banned, isKnown: known !== undefined
      })}`)
    }
  }

  async function request (known: Known | undefined): Promise<void> {
    const kind = KINDS[random(3)]!
    const headers = known === undefined
      ? { authorization: `Bearer ${randomBytes(16).toString('hex')}` }
      : headersOf(known, kind)
    const from = clock.now()
    const { statusCode, body, headers: { 'x-reason': reason } } = await app.inject({ url: '/me', headers })
    judge(known, known === undefined ? 'session-token' : kind, from, statusCode, String(reason ?? ''), body)
  }

  async function create (): Promise<void> {
    const person = await server.signUp()
    const key = await server.createKey(person)
    people.push({ person, key, signedOut: NEVER, banned: NEVER, acceptedAt: new Map() })
    count('created')
  }

  async function signOut (known: Known): Promise<void> {
    if (known.signedOut !== NEVER || known.banned !== NEVER) return
    known.signedOut = { from: clock.now(), until: Infinity }
    try {
      await server.signOut(known.person)
      known.signedOut.until = clock.now()
      count('signed out')
    } catch {
      count('cut off')
    }
  }

  function ban (known: Known): void {
    if (known.signedOut !== NEVER || known.banned !== NEVER) return
    known.banned = { from: clock.now(), until: clock.now() }
    server.ban(known.person)
    count('banned')
  }

  async function kill (): Promise<void> {
    outages.push({ from: clock.now(), until: Infinity })
    isUp = false
    await server.close()
    count('kills')
  }

  async function restart (): Promise<void> {
    server = await startSessionServer(t, { sqlite, before: server, apiKey: { rateLimit: { enabled: false } } })
    restartedAt = clock.now()
    isUp = true
  }

  const needed = ['kills', 'signed out', 'banned', '200', '401', '403', '503 exchange_unavailable']
  const end = performance.now() + SECONDS * 1000
  const isEnough = () => {
    const left = end - performance.now()
    return left <= 0 && (left < -30_000 || needed.every(name => counts[name]! > 0))
  }
  let pending: Array<Promise<unknown>> = []
  for (let i = 0; i < 10; i++) await create()
  while (!isEnough()) {
    const batch: Array<Promise<unknown>> = []
    for (let i = random(25); i >= 0; i--) {
      const known = people[random(people.length)]!
      batch.push(request(random(12) === 0 ? undefined : known))
      if (isUp && random(60) === 0) batch.push(signOut(known))
      if (isUp && random(60) === 0) ban(known)
    }
    // Half of the time, requests are still under way when the clock moves and the server goes.
    if (random(2) === 0) {
      await Promise.all([...pending, ...batch])
      pending = []
      if (isUp && random(5) === 0 && people.length < 60) await create()
      if (isUp && people.length >= 60) people.splice(0, 20)
    } else {
      pending.push(...batch)
      await turn()
    }
    if (isUp ? random(25) === 0 : random(8) === 0) {
      if (isUp) {
        // What a killed server was asked to do, it may have done or not.
        await Promise.all(pending.filter(() => random(2) === 0))
        await kill()
      } else {
        await restart()
      }
    }
    const outage = outages.at(-1)
    const { lastError, lastSuccessAt } = app.betterAuth.status().exchange!
    if (outage?.until === Infinity && isUp && lastError === null && Date.parse(lastSuccessAt!) >= restartedAt) {
      // Some of them may still wait for an exchange that began during the outage.
      await Promise.all(pending)
      pending = []
      outage.until = clock.now()
    }
    clock.advance(random(4) === 0 ? random(90_000) : random(8000))
  }
  if (!isUp) await restart()
  await Promise.all(pending)
  t.comment(JSON.stringify({ ...counts, hours: Math.round((clock.now() - startedAt) / 3_600_000) }))
  t.strictSame(wrong.slice(0, 5), [], `${wrong.length} wrong responses, SOAK_SEED=${SEED}`)
  for (const name of needed) {
    t.ok(counts[name]! > 0, name)
  }
})
