import t from 'tap'
import { alsoIssuer, checkTimes } from '../../lib/tokens/claims.js'
import {
  accepts, CLOCK, ISSUER, LOGOUT, NOW, OAUTH_CLAIMS, OAUTH_RULES, reason, refusal, RULES, UNCHECKED, validateClaims
} from '../fixtures/claims.js'
import { reasonOf } from '../fixtures/refusals.js'
import { recordUnhandled } from '../fixtures/rejections.js'

t.test('accepts the claims of a Better Auth token', async t => {
  accepts(t, {})
  accepts(t, { typ: 'jwt' }, 'with typ JWT')
  accepts(t, { claims: OAUTH_CLAIMS, typ: 'at+jwt', rules: OAUTH_RULES }, 'of an OAuth client')
  accepts(t, { claims: { iat: undefined } }, 'without iat')
  accepts(t, { claims: { jti: 'x' } }, 'with jti')
})

t.test('exp', async t => {
  const exp = NOW
  for (const clockTolerance of [0, 5000]) {
    const limit = CLOCK + clockTolerance
    const rules = { clockTolerance }
    const claims = { exp }
    accepts(t, { claims, rules, now: limit - 1 }, `one millisecond before exp + ${clockTolerance}`)
    t.equal(await reason({ claims, rules, now: limit }), 'token_expired', `exactly at exp + ${clockTolerance}`)
    t.equal(
      await reason({ claims, rules, now: limit + 1 }), 'token_expired', `one millisecond after exp + ${clockTolerance}`
    )
  }
  accepts(t, {
    claims: { exp: NOW + 0.5 }, rules: { clockTolerance: 0 }, now: CLOCK + 499
  }, 'a fraction of a second before its end')
  t.equal(
    await reason({ claims: { exp: NOW + 0.5 }, rules: { clockTolerance: 0 }, now: CLOCK + 500 }), 'token_expired',
    'a fraction of a second at its end'
  )
  t.equal(await reason({ claims: { exp: 0 } }), 'token_expired', 'zero')
  t.equal(await reason({ claims: { exp: -1 } }), 'token_expired', 'negative')
  t.equal(await reason({ claims: { exp: CLOCK }, now: CLOCK * 1000 + 5000 }), 'token_expired', 'is in seconds')
  t.equal(await reason({ claims: { exp: undefined } }), 'claim_missing exp', 'is required')
})

for (const claim of ['nbf', 'iat']) {
  t.test(claim, async t => {
    for (const clockTolerance of [0, 5000]) {
      const limit = CLOCK - clockTolerance
      const rules = { clockTolerance }
      const claims = { [claim]: NOW }
      t.equal(
        await reason({ claims, rules, now: limit - 1 }), `token_not_active ${claim}`,
        `one millisecond before ${claim} - ${clockTolerance}`
      )
      accepts(t, { claims, rules, now: limit }, `exactly at ${claim} - ${clockTolerance}`)
      accepts(t, { claims, rules, now: limit + 1 }, `one millisecond after ${claim} - ${clockTolerance}`)
    }
    t.equal(
      await reason({ claims: { [claim]: NOW + 0.25 }, rules: { clockTolerance: 0 }, now: CLOCK + 249 }),
      `token_not_active ${claim}`
    )
    accepts(t, {
      claims: { [claim]: NOW + 0.25 }, rules: { clockTolerance: 0 }, now: CLOCK + 250
    }, 'a fraction of a second')
    accepts(t, { claims: { [claim]: 0 } }, 'long ago')
  })
}

for (const claim of ['exp', 'nbf', 'iat']) {
  t.test(`refuses ${claim} of the wrong type`, async t => {
    for (const value of [null, '', String(NOW + 60), true, false, [], [NOW + 60], {}, NaN, Infinity, -Infinity]) {
      t.equal(await reason({ claims: { [claim]: value } }), `claim_invalid ${claim}`, String(JSON.stringify(value)))
    }
    // The only number of JSON that is not finite.
    t.equal(await reason({ claims: JSON.parse(`{ "${claim}": 1e400 }`) }), `claim_invalid ${claim}`, '1e400')
  })
}

t.test('says for how long a token is good, the clock tolerance included', async t => {
  const lifetimes: Array<[times: Record<string, unknown>, notBefore: number]> = [
    [{ iat: NOW - 60 }, (NOW - 60) * 1000 - 5000],
    [{ iat: NOW - 60, nbf: NOW - 30 }, (NOW - 30) * 1000 - 5000],
    [{ iat: NOW - 60, nbf: NOW - 90 }, (NOW - 60) * 1000 - 5000],
    [{ nbf: NOW }, CLOCK - 5000],
    [{}, -Infinity]
  ]
  for (const [times, notBefore] of lifetimes) {
    t.strictSame(checkTimes({ exp: NOW + 840, ...times }, 5000, CLOCK), {
      notBefore, expiresAt: CLOCK + 840_000 + 5000
    }, JSON.stringify(times))
  }
})

t.test('of nbf and iat the later one is named', async t => {
  t.equal(await reason({ claims: { nbf: NOW + 60, iat: NOW + 30 } }), 'token_not_active nbf')
  t.equal(await reason({ claims: { nbf: NOW + 30, iat: NOW + 60 } }), 'token_not_active iat')
  t.equal(await reason({ claims: { nbf: NOW + 60, iat: NOW + 60 } }), 'token_not_active nbf')
})

t.test('issuer', async t => {
  const issuer = [ISSUER, 'https://other.example']
  accepts(t, { claims: { iss: 'https://other.example' }, rules: { issuer } }, 'any of several')
  for (const iss of [
    '', `${ISSUER}/`, ISSUER.toUpperCase(), 'https://id.example.co', `${ISSUER}.evil.example`, 'http://id.example.com',
    ` ${ISSUER}`, 'https://other.example'
  ]) {
    const error = await refusal({ claims: { iss } })
    t.equal(error.reason, 'issuer_mismatch', iss)
    t.match(error.details, {
      claim: 'iss', expected: [ISSUER], received: iss
    }, 'names what was expected and what came')
  }
  t.strictSame(
    (await refusal({ claims: { iss: undefined }, rules: { issuer } })).details,
    { claim: 'iss', expected: issuer, received: null }, 'absent'
  )
  for (const iss of [null, 1, true, [], [ISSUER], { 0: ISSUER }]) {
    t.equal(await reason({ claims: { iss } }), 'claim_invalid iss', JSON.stringify(iss))
    t.equal(
      await reason({ claims: { iss }, rules: { issuer: false } }), 'claim_invalid iss',
      `${JSON.stringify(iss)}, also where the issuer is not checked`
    )
  }
  accepts(t, { claims: { iss: 'https://evil.example' }, rules: { issuer: false } }, 'false accepts any')
  accepts(t, { claims: { iss: undefined }, rules: { issuer: false } }, 'false accepts none')
})

t.test('audience', async t => {
  const audience = [ISSUER, 'https://api.example.com']
  accepts(t, { claims: { aud: 'https://api.example.com' }, rules: { audience } }, 'any of several')
  accepts(t, { claims: { aud: ['https://elsewhere.example', ISSUER] } }, 'one among those that the token names')
  accepts(t, { claims: { aud: [ISSUER] } }, 'an array of one')
  for (const aud of [
    '', `${ISSUER}/`, ISSUER.toUpperCase(), `${ISSUER}.evil.example`, [], ['https://elsewhere.example'],
    [`${ISSUER} `, `${ISSUER},x`]
  ]) {
    const error = await refusal({ claims: { aud } })
    t.equal(error.reason, 'audience_mismatch', JSON.stringify(aud))
    t.match(error.details, {
      claim: 'aud', expected: [ISSUER], received: aud
    }, 'names what was expected and what came')
  }
  t.strictSame(
    (await refusal({ claims: { aud: undefined }, rules: { audience } })).details,
    { claim: 'aud', expected: audience, received: null }, 'absent'
  )
  for (const aud of [
    null, 1, true, {}, [null], [ISSUER, 1], [[ISSUER]], [ISSUER, [ISSUER]], { 0: ISSUER, length: 1 }
  ]) {
    t.equal(await reason({ claims: { aud } }), 'claim_invalid aud', JSON.stringify(aud))
    t.equal(
      await reason({ claims: { aud }, rules: { audience: false } }), 'claim_invalid aud',
      `${JSON.stringify(aud)}, also where the audience is not checked`
    )
  }
  accepts(t, { claims: { aud: 'https://elsewhere.example' }, rules: { audience: false } }, 'false accepts any')
  accepts(t, { claims: { aud: undefined }, rules: { audience: false } }, 'false accepts none')
})

t.test('a function decides about the issuer: only `true` accepts', async t => {
  const untyped = (verdict: unknown) => () => verdict as boolean
  const asked: string[] = []
  const issuer = (iss: string): boolean => { asked.push(iss); return iss === ISSUER }
  accepts(t, { rules: { issuer } })
  t.equal(await reason({ rules: { issuer }, claims: { iss: 'https://evil.example' } }), 'issuer_mismatch iss')
  t.strictSame(asked, [ISSUER, 'https://evil.example'])
  t.equal(await reason({ rules: { issuer }, claims: { iss: undefined } }), 'issuer_mismatch iss')
  t.equal(await reason({ rules: { issuer }, claims: { iss: 1 } }), 'claim_invalid iss')
  t.equal(asked.length, 2, 'it is asked about text only')
  for (const refusing of [
    untyped(false), untyped(undefined), untyped(1), untyped('true'), untyped({}), untyped(Promise.resolve(true)),
    untyped(Promise.reject(new Error('down'))), () => { throw new Error('down') }
  ]) t.equal(await reason({ rules: { issuer: refusing } }), 'issuer_mismatch iss')
  const { details } = await refusal({ rules: { issuer: () => false } })
  t.strictSame(details, { claim: 'iss', received: ISSUER })
})

t.test('a promise about the issuer refuses it, and its rejection is ignored', async t => {
  const unhandled = recordUnhandled(t)
  const issuer = (async () => { throw new Error('down') }) as unknown as () => boolean
  t.equal(await reason({ rules: { issuer } }), 'issuer_mismatch iss')
  await new Promise(resolve => { setImmediate(resolve) })
  t.strictSame(unhandled, [])
})

t.test('one more issuer', async t => {
  t.equal(alsoIssuer(false, 'b'), false)
  t.strictSame(alsoIssuer(['a'], 'b'), ['a', 'b'])
  const also = alsoIssuer(iss => iss === 'a', 'b') as (iss: string) => boolean
  t.strictSame(['a', 'b', 'c'].map(also), [true, true, false])
})

t.test('refuses jti of the wrong type', async t => {
  for (const jti of [null, 1, true, [], {}]) {
    t.equal(await reason({ claims: { jti } }), 'claim_invalid jti', JSON.stringify(jti))
  }
})

t.test('calls a token expired only if nothing else is wrong with it', async t => {
  const faults: Array<[claims: Record<string, unknown>, reason: string]> = [
    [{ cnf: {} }, 'token_kind cnf'],
    [{ events: { [LOGOUT]: {} } }, 'token_kind events'],
    [{ nonce: 'x' }, 'token_kind nonce'],
    [{ iss: 'https://evil.example' }, 'issuer_mismatch iss'],
    [{ iss: 1 }, 'claim_invalid iss'],
    [{ aud: 'https://evil.example' }, 'audience_mismatch aud'],
    [{ aud: 1 }, 'claim_invalid aud'],
    [{ jti: 1 }, 'claim_invalid jti'],
    [{ nbf: '1' }, 'claim_invalid nbf'],
    [{ iat: '1' }, 'claim_invalid iat'],
    [{ nbf: NOW + 60 }, 'token_not_active nbf'],
    [{ iat: NOW + 60 }, 'token_not_active iat']
  ]
  for (const [claims, expected] of faults) {
    t.equal(
      await reason({ claims: { exp: NOW - 3600, ...claims } }), expected, JSON.stringify(claims)
    )
  }
  t.equal(await reason({ claims: { exp: NOW - 3600 } }), 'token_expired', 'nothing else')
})

t.test('takes no claim from the prototype of the payload', async t => {
  const claims = JSON.parse(`{ "__proto__": { "iss": "${ISSUER}", "exp": ${NOW + 60} }, "iss": null, "exp": null }`)
  t.equal(await reason({ claims }), 'claim_invalid iss')
  const inherited = JSON.parse(`{ "__proto__": { "exp": ${NOW + 60} } }`) as Record<string, unknown>
  t.equal(
    await reasonOf(() => { validateClaims(inherited, undefined, { ...RULES, ...UNCHECKED }, CLOCK) }),
    'claim_missing exp'
  )
})

t.test('the log says by how much a token is too old or too young', async t => {
  const rules = { clockTolerance: 5000 }
  const expired = await refusal({ claims: { exp: NOW - 3600 }, rules })
  t.strictSame(expired.details, { seconds: 3600 })
  for (const claim of ['nbf', 'iat']) {
    const young = await refusal({ claims: { [claim]: NOW + 90 }, rules })
    t.strictSame(young.details, { claim, seconds: 90 })
  }
})

t.test('the log says in what alone an issuer or audience differs', async t => {
  t.equal((await refusal({ claims: { iss: `${ISSUER}/` } })).details.difference, 'a slash at its end')
  t.equal((await refusal({ claims: { aud: [`${ISSUER}/api/auth`] } })).details.difference, 'the path')
  t.notOk('difference' in (await refusal({ claims: { iss: 'https://evil.example' } })).details)
})
