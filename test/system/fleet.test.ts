import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { JwksFetchError, type JwksSource } from '../../lib/auth-server/find-jwks.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { createKeyStore, type KeyStore } from '../../lib/keys/key-store.js'
import { createClock } from '../fixtures/clock.js'
import { recordLog } from '../fixtures/log.js'
import { createSigningKey } from '../fixtures/signing.js'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** Most of it is calm: a whole day would show the same, in twice the time. */
const HALF_DAY = 12 * HOUR

const TOKEN_LIFETIME = 15 * MINUTE
const LATENCY = 20
/** Each instance gets a request each second while something happens, else one each 20 seconds on average. */
const BUSY = SECOND
const CALM = 20 * SECOND

/**
 * By the clock of the simulation, from the start of the fleet. All instances start within one second: the worst of
 * rollouts.
 */
const ROTATION = 4 * HOUR
const OUTAGE = 8 * HOUR
const OUTAGE_END = OUTAGE + 10 * MINUTE

interface Period { from: number, to: number }

const BUSY_TIMES: Period[] = [
  { from: 0, to: MINUTE },
  { from: ROTATION, to: ROTATION + TOKEN_LIFETIME },
  { from: OUTAGE, to: OUTAGE_END + MINUTE }
]

const AUTH_URL = 'https://id.example.com'
const { jwks: policy } = resolveOptions({}, {})
const { maxAge, staleWhileRevalidate, staleIfError } = policy
const FRESH_AT_LEAST = 0.9 * maxAge

const oldKey = createSigningKey('EdDSA', 'old')
const newKey = createSigningKey('EdDSA', 'new')

t.setTimeout(300_000)

/** The same dice each time: a failure can be looked at again (mulberry32). */
function createRandom (seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), 1 | state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What is to happen, by time. */
class EventQueue {
  #heap: Array<{ time: number, run: () => void }> = []

  get size (): number { return this.#heap.length }

  add (time: number, run: () => void): void {
    const heap = this.#heap
    let i = heap.push({ time, run }) - 1
    while (i > 0 && heap[(i - 1) >> 1]!.time > heap[i]!.time) {
      const parent = (i - 1) >> 1
      ;[heap[i], heap[parent]] = [heap[parent]!, heap[i]!]
      i = parent
    }
  }

  next (): { time: number, run: () => void } {
    const heap = this.#heap
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    heap[0] = last
    for (let i = 0; ;) {
      let child = 2 * i + 1
      if (child >= heap.length) return first
      if (child + 1 < heap.length && heap[child + 1]!.time < heap[child]!.time) child++
      if (heap[i]!.time <= heap[child]!.time) return first
      ;[heap[i], heap[child]] = [heap[child]!, heap[i]!]
      i = child
    }
  }
}

interface Fleet {
  /** When each fetch was made, since the start of the fleet. */
  fetches: number[]
  served: number
  /** When each request was refused. */
  refusals: number[]
  /** When each instance had its keys. */
  startedAfter: number[]
  /** How often an instance was refused after it had its keys. */
  refusedLater: number
  /** How long each failed fetch made its instance pause. */
  pauses: number[]
}

interface Instance { store: KeyStore, confirmedAt: number, hasKeys: boolean }

/** How the auth server responds to one instance: with an error, or with its keys. */
type Server = (time: number, instance: number) => JwksFetchError | undefined

interface Simulation {
  instances: number
  server?: Server
  until?: number
  busyTimes?: Period[]
  seed?: number
}

function withOutage (time: number): JwksFetchError | undefined {
  return time >= OUTAGE && time < OUTAGE_END ? new JwksFetchError('connection_refused') : undefined
}

async function simulate (
  { instances, server = withOutage, until = HALF_DAY, busyTimes = BUSY_TIMES, seed = 1 }: Simulation
): Promise<Fleet> {
  const clock = createClock()
  const start = clock.now()
  const random = createRandom(seed)
  const queue = new EventQueue()
  const fleet: Fleet = { fetches: [], served: 0, refusals: [], startedAfter: [], refusedLater: 0, pauses: [] }
  const elapsed = () => clock.now() - start

  function request (instance: Instance, kid: string): void {
    const serve = () => {
      fleet.served++
      if (instance.hasKeys) return
      instance.hasKeys = true
      fleet.startedAfter.push(elapsed())
    }
    const refuse = () => {
      fleet.refusals.push(elapsed())
      if (instance.hasKeys) fleet.refusedLater++
    }
    try {
      const key = instance.store.get(kid, 'EdDSA')
      if (key instanceof Promise) key.then(serve, refuse)
      else serve()
    } catch {
      refuse()
    }
  }

  /** The share of tokens that the new key signed grows while those of the old one expire. */
  function pickKid (): string {
    return random() < (elapsed() - ROTATION) / TOKEN_LIFETIME ? 'new' : 'old'
  }

  /** Requests that find keys that are fresh in any case are left out, for they cost nothing. */
  function live (instance: Instance): void {
    request(instance, pickKid())
    const time = elapsed()
    const next = busyTimes.find(({ to }) => time < to)
    if (next !== undefined && time >= next.from) {
      queue.add(clock.now() + BUSY, () => live(instance))
      return
    }
    const wait = Math.max(2 * CALM * random(), instance.confirmedAt + FRESH_AT_LEAST - clock.now())
    const pause = Math.min(wait, next === undefined ? Infinity : next.from + random() * BUSY - time)
    if (time + pause < until) queue.add(clock.now() + pause, () => live(instance))
  }

  for (let i = 0; i < instances; i++) {
    const instance: Instance = {
      store: createKeyStore({
        authUrl: AUTH_URL,
        source: createSource(i, () => instance),
        policy,
        log: recordLog().log,
        now: clock.now,
        random
      }),
      confirmedAt: -Infinity,
      hasKeys: false
    }
    queue.add(start + random() * SECOND, () => {
      instance.store.ready().catch(() => {})
      live(instance)
    })
  }

  function createSource (index: number, instance: () => Instance): JwksSource {
    return {
      url: `${AUTH_URL}/api/auth/jwks`,
      fetchJwks () {
        const startedAt = clock.now()
        const time = elapsed()
        fleet.fetches.push(time)
        const error = server(time, index)
        return new Promise((resolve, reject) => {
          queue.add(startedAt + LATENCY, () => {
            settled = false
            if (error === undefined) {
              instance().confirmedAt = startedAt
              resolve([oldKey, ...time >= ROTATION ? [newKey] : []].map(({ jwk }) => jwk))
            } else {
              reject(error)
              notePause = () => {
                fleet.pauses.push(Date.parse(instance().store.status().nextTryAt!) - clock.now())
              }
            }
          })
        })
      }
    }
  }

  let settled = true
  let notePause: (() => void) | undefined
  while (queue.size > 0) {
    const { time, run } = queue.next()
    clock.set(time)
    run()
    if (!settled) {
      await turn()
      settled = true
      notePause?.()
      notePause = undefined
    }
  }
  return fleet
}

/** The most that came within one second, from `from` up to `to`. */
function peak ({ fetches }: Fleet, from: number, to: number): number {
  const seconds = new Map<number, number>()
  let most = 0
  for (const time of fetches) {
    if (time < from || time >= to) continue
    const second = Math.floor(time / SECOND)
    const count = (seconds.get(second) ?? 0) + 1
    seconds.set(second, count)
    most = Math.max(most, count)
  }
  return most
}

function total ({ fetches }: Fleet, from: number, to: number): number {
  return fetches.filter(time => time >= from && time < to).length
}

for (const instances of [1, 10, 1000]) {
  t.test(`half a day of ${instances} instances, with a rotation and an outage of ten minutes`, async t => {
    const fleet = await simulate({ instances })
    const perMinute = (from: number, to: number) => total(fleet, from, to) / instances / ((to - from) / MINUTE)
    const atStart = peak(fleet, 0, 10 * SECOND)
    const afterStart = peak(fleet, 10 * SECOND, ROTATION)
    const calm = perMinute(HOUR, ROTATION)
    const atRotation = peak(fleet, ROTATION, ROTATION + TOKEN_LIFETIME)
    const rotating = perMinute(ROTATION, ROTATION + TOKEN_LIFETIME)
    const twoKeys = perMinute(OUTAGE_END + HOUR, HALF_DAY)
    const inOutage = peak(fleet, OUTAGE, OUTAGE_END)
    const trying = perMinute(OUTAGE, OUTAGE_END)
    const afterOutage = peak(fleet, OUTAGE_END, OUTAGE_END + 30 * SECOND)
    const later = peak(fleet, OUTAGE_END + 30 * SECOND, HALF_DAY)
    t.comment(
      `${instances} instances, ${fleet.fetches.length} fetches in half a day ` +
      `(${(fleet.fetches.length / instances).toFixed(1)} each), ${fleet.refusals.length} refused`
    )
    t.comment(
      `  fetches a minute of each instance: ${calm.toFixed(4)} with one key, ${twoKeys.toFixed(4)} with two; ` +
      `in the rotation ${rotating.toFixed(4)}, in the outage ${trying.toFixed(2)}`
    )
    t.comment(
      `  most in one second: ${atStart} at the start, ${afterStart} until the rotation, ` +
      `${atRotation} at the rotation, ${inOutage} in the outage, ${afterOutage} within 30 s after it, ${later} later`
    )

    t.same(fleet.refusals, [], 'no request was refused: not at the start, not at the rotation, not in the outage')
    for (const rate of [calm, twoKeys]) {
      t.ok(rate >= MINUTE / (maxAge + 2 * CALM) * 0.99, `${rate}, however many keys there are`)
      t.ok(rate <= MINUTE / FRESH_AT_LEAST, `${rate}`)
    }
    // At most what is due, and one fetch to find the new key.
    const due = instances * (1 + Math.ceil(TOKEN_LIFETIME / FRESH_AT_LEAST))
    t.ok(total(fleet, ROTATION, ROTATION + TOKEN_LIFETIME) <= due)
    // A try each 12 to 15 seconds at the end of the back-off, and six to get there.
    t.ok(total(fleet, OUTAGE, OUTAGE_END) <= instances * (6 + (OUTAGE_END - OUTAGE) / 12_000))
    t.ok(OUTAGE_END - OUTAGE < staleIfError - maxAge - staleWhileRevalidate)

    if (instances === 1000) {
      t.equal(atStart, instances, 'a start costs each instance one fetch')
      // Spread over a tenth of maxAge they are 17 a second.
      t.ok(afterStart <= 50, `${afterStart} in one second after the start`)
      t.ok(atRotation <= 60, `${atRotation} in one second at the rotation`)
      // Each instance tries each 12 to 15 seconds: 74 a second.
      t.ok(inOutage <= 130, `${inOutage} in one second in the outage`)
      t.ok(afterOutage <= inOutage * 1.2, `${afterOutage} in one second after the outage`)
      t.ok(later <= 60, `${later} in one second later on`)
    }
  })
}

t.test('an outage leaves no trace in the rate of fetches', async t => {
  const fleet = await simulate({ instances: 100, seed: 2 })
  const before = total(fleet, OUTAGE - 2 * HOUR, OUTAGE)
  const after = total(fleet, OUTAGE_END + HOUR, OUTAGE_END + 3 * HOUR)
  t.ok(Math.abs(after - before) <= before * 0.1, `${before} in two hours before it, ${after} after it`)
})

/** Better Auth's default rate limit. */
const WINDOW = 10 * SECOND
const MAX_IN_WINDOW = 100
const JITTER = 0.2

/**
 * A server with Better Auth's rate limiter. It counts anew once a whole window has passed since the last request that
 * it accepted; a request that it refuses does not matter.
 */
function createLimited (bucketOf: (instance: number) => number): Server {
  const buckets = new Map<number, { count: number, lastAt: number }>()
  return (time, instance) => {
    const bucket = bucketOf(instance)
    const { count, lastAt } = buckets.get(bucket) ?? { count: 0, lastAt: -Infinity }
    const isOver = time - lastAt >= WINDOW
    if (!isOver && count >= MAX_IN_WINDOW) {
      return new JwksFetchError('rate_limited', Math.ceil((lastAt + WINDOW - time) / SECOND) * SECOND)
    }
    buckets.set(bucket, { count: isOver ? 1 : count + 1, lastAt: time })
    return undefined
  }
}

const RATE_LIMITS: Record<string, Server> = {
  'which Better Auth limits together': createLimited(() => 0),
  'which Better Auth limits one by one, for a proxy forwards their addresses': createLimited(instance => instance),
  'whose fetches are exempt from the rate limit': () => undefined
}

for (const [name, server] of Object.entries(RATE_LIMITS)) {
  t.test(`1000 instances that start in one second, ${name}`, async t => {
    const instances = 1000
    const until = 30 * MINUTE
    const fleet = await simulate({ instances, server, until, busyTimes: [{ from: 0, to: 5 * MINUTE }] })
    const after = (share: number) => fleet.startedAfter.toSorted((a, b) => a - b)[share * instances - 1]! / SECOND
    const longest = Math.max(0, ...fleet.pauses)
    const toStart = total(fleet, 0, after(1) * SECOND)
    t.comment(
      `keys after ${[0.1, 0.5, 0.9, 1].map(share => `${after(share).toFixed(1)} s (${share * 100} %)`).join(', ')}`
    )
    t.comment(`${toStart} fetches until then, ${fleet.fetches.length} in ${until / MINUTE} minutes`)
    t.comment(
      `${fleet.pauses.length} pauses, the longest ${(longest / SECOND).toFixed(1)} s; ` +
      `${fleet.refusals.length} of ${fleet.refusals.length + fleet.served} requests refused`
    )

    t.equal(fleet.startedAfter.length, instances, 'all get their keys')
    t.equal(fleet.refusedLater, 0, 'nobody is refused after that')
    t.ok(longest <= (WINDOW + SECOND) * (1 + JITTER), 'nobody is told to wait longer than the window')
    if (server !== RATE_LIMITS['which Better Auth limits together']) {
      t.same(fleet.refusals, [], 'nobody is refused at the start either')
      t.equal(toStart, instances)
    } else {
      const least = (instances / MAX_IN_WINDOW - 1) * WINDOW / SECOND
      t.ok(after(1) >= least, `${after(1)} s: the server cannot do it in less than ${least}`)
      t.ok(after(1) <= 1.5 * least, `${after(1)} s`)
      t.ok(toStart <= instances * 8, `${toStart}`)
    }
  })
}
