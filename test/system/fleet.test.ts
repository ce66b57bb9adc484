import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createKeyStore, type KeyStore } from '../../lib/keys/key-store.js'
import { JwksFetchError } from '../../lib/auth-server/fetch-jwks.js'
import type { JwksSource } from '../../lib/auth-server/find-jwks.js'
import { AUTH_URL, DEFAULT_POLICY } from '../fixtures/key-store.js'
import { createClock, type Clock } from '../fixtures/clock.js'
import { recordLog } from '../fixtures/log.js'
import { createSigningKey } from '../fixtures/signing.js'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const TOKEN_LIFETIME = 15 * MINUTE
const LATENCY = 20
/** Each instance gets a request each second while something happens, else one each five seconds on average. */
const BUSY = SECOND
const CALM = 5 * SECOND

/**
 * By the clock of the simulation, from the start of the fleet. All instances start within one second: the worst of
 * rollouts.
 */
const ROTATION = 8 * HOUR
const OUTAGE = 16 * HOUR
const OUTAGE_END = OUTAGE + 10 * MINUTE

const BUSY_TIMES = [
  { from: 0, to: MINUTE },
  { from: ROTATION, to: ROTATION + TOKEN_LIFETIME },
  { from: OUTAGE, to: OUTAGE_END + MINUTE }
]

const { maxAge, staleWhileRevalidate, staleIfError } = DEFAULT_POLICY
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
  refused: number
}

interface Instance { store: KeyStore, confirmedAt: Map<string, number> }

async function simulate (instances: number, seed = 1): Promise<Fleet> {
  const clock = createClock()
  const start = clock.now()
  const random = createRandom(seed)
  const queue = new EventQueue()
  const fleet: Fleet = { fetches: [], served: 0, refused: 0 }
  const elapsed = () => clock.now() - start

  const count = (answer: 'served' | 'refused') => () => { fleet[answer]++ }
  function request ({ store }: Instance, kid: string): void {
    try {
      const key = store.get(kid)
      if (key instanceof Promise) key.then(count('served'), count('refused'))
      else fleet.served++
    } catch {
      fleet.refused++
    }
  }

  /** The share of tokens that the new key signed grows while those of the old one expire. */
  function pickKid (): string {
    return random() < (elapsed() - ROTATION) / TOKEN_LIFETIME ? 'new' : 'old'
  }

  /** Requests that find a key that is fresh in any case are left out, for they cost nothing. */
  function live (instance: Instance): void {
    request(instance, pickKid())
    const time = elapsed()
    const next = BUSY_TIMES.find(({ to }) => time < to)
    if (next !== undefined && time >= next.from) {
      queue.add(clock.now() + BUSY, () => live(instance))
      return
    }
    const confirmedAt = instance.confirmedAt.get(time < ROTATION ? 'old' : 'new') ?? -Infinity
    const wait = Math.max(2 * CALM * random(), confirmedAt + FRESH_AT_LEAST - clock.now())
    const until = Math.min(wait, next === undefined ? Infinity : next.from + random() * BUSY - time)
    if (time + until < DAY) queue.add(clock.now() + until, () => live(instance))
  }

  for (let i = 0; i < instances; i++) {
    const confirmedAt = new Map<string, number>()
    const { log } = recordLog()
    const store = createKeyStore({
      authUrl: AUTH_URL, source: createSource(clock, confirmedAt), policy: DEFAULT_POLICY, log, now: clock.now, random
    })
    queue.add(start + random() * SECOND, () => {
      store.ready().catch(() => {})
      live({ store, confirmedAt })
    })
  }

  function createSource ({ now }: Clock, confirmedAt: Map<string, number>): JwksSource {
    return {
      url: 'https://id.example.com/api/auth/jwks',
      fetchJwk (kid) {
        const startedAt = now()
        const time = elapsed()
        fleet.fetches.push(time)
        return new Promise((resolve, reject) => {
          queue.add(startedAt + LATENCY, () => {
            settled = false
            if (time >= OUTAGE && time < OUTAGE_END) {
              reject(new JwksFetchError('ECONNREFUSED'))
              return
            }
            if (kid !== '') confirmedAt.set(kid, startedAt)
            resolve([oldKey, ...time >= ROTATION ? [newKey] : []].find(key => key.kid === kid)?.jwk)
          })
        })
      }
    }
  }

  let settled = true
  while (queue.size > 0) {
    const { time, run } = queue.next()
    clock.set(time)
    run()
    if (!settled) {
      await turn()
      settled = true
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
  t.test(`a day of ${instances} instances, with a rotation and an outage of ten minutes`, async t => {
    const fleet = await simulate(instances)
    const perMinute = (from: number, to: number) => total(fleet, from, to) / instances / ((to - from) / MINUTE)
    const atStart = peak(fleet, 0, 10 * SECOND)
    const afterStart = peak(fleet, 10 * SECOND, ROTATION)
    const calm = perMinute(HOUR, ROTATION)
    const atRotation = peak(fleet, ROTATION, ROTATION + TOKEN_LIFETIME)
    const rotating = perMinute(ROTATION, ROTATION + TOKEN_LIFETIME)
    const inOutage = peak(fleet, OUTAGE, OUTAGE_END)
    const trying = perMinute(OUTAGE, OUTAGE_END)
    const afterOutage = peak(fleet, OUTAGE_END, OUTAGE_END + 30 * SECOND)
    const later = peak(fleet, OUTAGE_END + 30 * SECOND, DAY)
    t.comment(
      `${instances} instances, ${fleet.fetches.length} fetches in the day ` +
      `(${(fleet.fetches.length / instances).toFixed(1)} each), ${fleet.refused} refused`
    )
    t.comment(
      `  fetches a minute of each instance and key: ${calm.toFixed(4)} with one key; ` +
      `with two keys ${rotating.toFixed(4)} for both; in the outage ${trying.toFixed(2)}`
    )
    t.comment(
      `  most in one second: ${atStart} at the start, ${afterStart} until the rotation, ` +
      `${atRotation} at the rotation, ${inOutage} in the outage, ${afterOutage} within 30 s after it, ${later} later`
    )

    t.equal(fleet.refused, 0, 'no request was refused: not at the start, not at the rotation, not in the outage')
    t.ok(calm >= MINUTE / (maxAge + 2 * CALM), `${calm}`)
    t.ok(calm <= MINUTE / FRESH_AT_LEAST, `${calm}`)
    // At most what is due from each key, and one fetch to find the new one.
    const due = instances * (1 + 2 * Math.ceil(TOKEN_LIFETIME / FRESH_AT_LEAST))
    t.ok(total(fleet, ROTATION, ROTATION + TOKEN_LIFETIME) <= due)
    // A try each 12 to 15 seconds at the end of the back-off, and six to get there.
    t.ok(total(fleet, OUTAGE, OUTAGE_END) <= instances * (6 + (OUTAGE_END - OUTAGE) / 12_000))
    t.ok(OUTAGE_END - OUTAGE < staleIfError - maxAge - staleWhileRevalidate)

    if (instances === 1000) {
      t.equal(atStart, 2 * instances, 'a start costs each instance its check and its key')
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
  const fleet = await simulate(100, 2)
  const before = total(fleet, OUTAGE - 4 * HOUR, OUTAGE)
  const after = total(fleet, OUTAGE_END + HOUR, OUTAGE_END + 5 * HOUR)
  t.ok(Math.abs(after - before) <= before * 0.1, `${before} in four hours before it, ${after} after it`)
})
