import t from 'tap'
import { redact, shownIssuers } from '../../lib/doctor/redact.js'
import { CLOCK, NOW } from '../fixtures/claims.js'
import { withClock } from '../fixtures/clock.js'

/** As `redact` says it at the time of all tests. */
const redactNow = (name: string, value: unknown) => withClock({ now: () => CLOCK }, async () => redact(name, value))

t.test('a time is shown as a date, and how far it is from now', async t => {
  for (const [seconds, text] of [
    [NOW, '2023-11-14T22:13:20Z, in 0 s'],
    [NOW + 900, '2023-11-14T22:28:20Z, in 15 min'],
    [NOW - 60, '2023-11-14T22:12:20Z, 60 s ago'],
    [NOW - 0.5, '2023-11-14T22:13:19Z, 0 s ago'],
    [0, '1970-01-01T00:00:00Z, 19675 days ago']
  ] as const) {
    for (const name of ['exp', 'nbf', 'iat', 'auth_time']) t.equal(await redactNow(name, seconds), text, name)
  }
})

t.test('a number that is too large for a date is not a time', async t => {
  for (const seconds of [1e300, -1e300, 8.64e12 + 1]) t.equal(await redactNow('exp', seconds), 'not a time')
  t.match(await redactNow('exp', CLOCK), /^\+055840-11-08T22:13:20Z, in 19656250 days$/, 'milliseconds are far away')
})

t.test('a time that is not a number is not read as one', async t => {
  t.equal(redact('exp', String(NOW)), 'a string of 10 characters')
  t.equal(redact('updatedAt', NOW), 'a number')
})

t.test('what has to be compared is shown', async t => {
  for (const name of [
    'alg', 'kid', 'typ', 'cty', 'crit', 'enc', 'iss', 'aud', 'azp', 'client_id', 'role', 'scope', 'scp'
  ]) {
    t.equal(redact(name, 'ada'), '"ada"', name)
    t.equal(redact(name, ['a', 'b']), '["a","b"]', name)
    t.equal(redact(name, { name: 'ada' }), 'an object', `${name}, only as text`)
    t.equal(redact(name, ['a', { name: 'ada' }]), 'an array of 2', `${name}, only as a list of texts`)
  }
})

t.test('of anything else only the type is shown', async t => {
  for (const name of ['sub', 'id', 'email', 'name', 'image', 'jti', 'sid', 'nonce', 'toString']) {
    t.equal(redact(name, 'Ada'), 'a string of 3 characters', name)
    t.equal(redact(name, ['Ada', 'Eve']), 'an array of 2', name)
    t.equal(redact(name, { name: 'Ada' }), 'an object', name)
    t.equal(redact(name, 42), 'a number', name)
  }
  t.strictSame([undefined, null, true, false].map(value => redact('email', value)), ['absent', 'null', 'true', 'false'])
})

t.test('a shown value is cut, and harmless on a terminal', async t => {
  t.equal(redact('iss', 'x'.repeat(100)), `"${'x'.repeat(75)}...`)
  t.equal(redact('iss', '\u001b[2J'), '"\\u001b[2J"')
  t.equal(redact('iss', '\u202e'), '"\\u{202e}"')
})

t.test('issuers are shown as they are, and a function as what it is', async t => {
  t.strictSame(shownIssuers(['a', 'b']), ['a', 'b'])
  t.equal(shownIssuers(false), false)
  t.strictSame(shownIssuers(() => true), ['a function'])
})
