import t from 'tap'
import {
  checkAccessTokenOptions, checkClientTokenOptions, checkCookieOptions, checkIssuerOptions, checkObjects,
  checkTokenOptions
} from '../../lib/testing/options.js'
import { ALGORITHMS } from '../../lib/testing/signers.js'

const SECRET = 's'.repeat(32)
const OAUTH_CHECKS = [checkAccessTokenOptions, checkClientTokenOptions]
/** All that a token of an OAuth client needs. */
const GRANT = { clientId: 'app_1', scopes: ['orders:read'], resource: 'https://api.example.com' }

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
    [checkClientTokenOptions, 'clientId, scopes, resource, claims, expiresIn, header, kid'],
    [checkAccessTokenOptions, 'clientId, scopes, resource, claims, expiresIn, header, kid, user'],
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

t.test('a token of an OAuth client needs its client, its scopes and its resource; nothing else', async t => {
  for (const check of OAUTH_CHECKS) {
    t.doesNotThrow(given(check, GRANT), check.name)
    t.doesNotThrow(given(check, { ...GRANT, scopes: [], resource: [GRANT.resource, 'https://other.example.com'] }))
    t.doesNotThrow(given(check, { ...GRANT, claims: undefined, expiresIn: -60, header: undefined, kid: undefined }))
    t.throws(given(check, undefined), { name: 'TypeError', message: '"options" must be an object' })
    for (const name of ['clientId', 'scopes', 'resource']) {
      t.throws(given(check, { ...GRANT, [name]: undefined }), {
        name: 'TypeError', message: new RegExp(`^Option "${name}" must be .*, got undefined$`)
      })
    }
    for (const clientId of ['', 5, null, ['app_1']]) {
      t.throws(given(check, { ...GRANT, clientId }), { message: /^Option "clientId" must be a non-empty string, got / })
    }
    for (const scopes of ['orders:read', [''], [5], {}, null]) {
      t.throws(given(check, { ...GRANT, scopes }), {
        message: /^Option "scopes" must be an array of non-empty strings, got /
      })
    }
    for (const resource of ['', [], [''], ['https://api.example.com', 5], null]) {
      t.throws(given(check, { ...GRANT, resource }), {
        message: /^Option "resource" must be a non-empty string, or a non-empty array of them, got /
      })
    }
    for (const name of ['claims', 'header']) {
      t.throws(given(check, { ...GRANT, [name]: [] }), { message: `"${name}" must be an object` })
    }
  }
})

t.test('a machine has no user, and an app has the id of one', async t => {
  t.doesNotThrow(given(checkAccessTokenOptions, { ...GRANT, user: 'grace' }))
  t.doesNotThrow(given(checkAccessTokenOptions, { ...GRANT, user: undefined }))
  for (const user of ['', 5, { id: 'grace' }, null]) {
    t.throws(given(checkAccessTokenOptions, { ...GRANT, user }), {
      message: /^Option "user" must be a non-empty string, got /
    })
  }
  t.throws(given(checkClientTokenOptions, { ...GRANT, user: 'grace' }), { message: /^Unknown option "user"/ })
})

t.test('a lifetime is a finite number; zero and less are allowed', async t => {
  for (const check of [checkTokenOptions, checkCookieOptions, ...OAUTH_CHECKS]) {
    const others = (OAUTH_CHECKS as unknown[]).includes(check) ? GRANT : {}
    for (const expiresIn of [0, -60, 0.5]) t.doesNotThrow(given(check, { ...others, expiresIn }), String(expiresIn))
    for (const expiresIn of ['15m', NaN, Infinity, null]) {
      const message = /^Option "expiresIn" must be a finite number of seconds, got /
      t.throws(given(check, { ...others, expiresIn }), { message })
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
