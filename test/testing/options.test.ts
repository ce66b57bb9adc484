import t from 'tap'
import { checkCookieOptions, checkIssuerOptions, checkObjects, checkTokenOptions } from '../../lib/testing/options.js'
import { ALGORITHMS } from '../../lib/testing/signers.js'

const SECRET = 's'.repeat(32)

/** Calls a check with something that its type does not allow. */
const given = (check: (options: never) => void, options: unknown) => () => { check(options as never) }

t.test('none of the options is needed, and undefined counts as absent', async t => {
  for (const check of [checkIssuerOptions, checkTokenOptions, checkCookieOptions]) {
    t.doesNotThrow(given(check, {}), check.name)
    t.throws(given(check, null), { name: 'TypeError', message: '"options" must be an object' }, check.name)
  }
  t.doesNotThrow(given(checkIssuerOptions, { algorithm: undefined, issuer: undefined, secret: undefined }))
  t.doesNotThrow(given(checkTokenOptions, { expiresIn: undefined, header: undefined, kid: undefined }))
  t.doesNotThrow(given(checkCookieOptions, { expiresIn: undefined, name: undefined, session: undefined }))
})

t.test('an unknown option is named, and so are the known ones', async t => {
  for (const [check, known] of [
    [checkIssuerOptions, 'algorithm, issuer, audience, secret'],
    [checkTokenOptions, 'expiresIn, header, kid'],
    [checkCookieOptions, 'expiresIn, name, session']
  ] as const) {
    const message = `Unknown option "toString". Known options: ${known}`
    t.throws(given(check, { toString: 1 }), { name: 'TypeError', message })
  }
})

t.test('a secret is for HS256, of 32 bytes or more, and never shown', async t => {
  for (const algorithm of ALGORITHMS) {
    t.doesNotThrow(given(checkIssuerOptions, { algorithm }), algorithm)
    const check = given(checkIssuerOptions, { algorithm, secret: SECRET })
    if (algorithm === 'HS256') t.doesNotThrow(check)
    else t.throws(check, { message: `Option "secret" is for the algorithm HS256, not for ${algorithm}` })
  }
  t.doesNotThrow(given(checkIssuerOptions, { algorithm: 'HS256', secret: 'é'.repeat(16) }), 'measured in bytes')
  for (const secret of ['hunter2', '', ['hunter2'], null]) {
    t.throws(given(checkIssuerOptions, { algorithm: 'HS256', secret }), {
      message: /^Option "secret" must be a string of at least 32 bytes$/
    })
  }
})

t.test('a lifetime is a finite number; zero and less are allowed', async t => {
  for (const check of [checkTokenOptions, checkCookieOptions]) {
    for (const expiresIn of [0, -60, 0.5]) t.doesNotThrow(given(check, { expiresIn }), String(expiresIn))
    for (const expiresIn of ['15m', NaN, Infinity, null]) {
      t.throws(given(check, { expiresIn }), { message: /^Option "expiresIn" must be a finite number of seconds, got / })
    }
  }
})

t.test('header and session are objects; the first value that is not is named', async t => {
  for (const wrong of [null, 'x', 5, [], undefined]) {
    t.throws(given(checkObjects, { fine: {}, claims: wrong, user: wrong }), { message: '"claims" must be an object' })
  }
  t.throws(given(checkTokenOptions, { header: null }), { message: '"header" must be an object' })
  t.throws(given(checkCookieOptions, { session: [] }), { message: '"session" must be an object' })
})
