import { createHmac } from 'node:crypto'
import t from 'tap'
import { isWholeCompact } from '../../../lib/schemes/session-cookie/compact.js'
import { bearer, captureLog } from '../../fixtures/api.js'
import {
  createCompact, hostileContents, refusesEach, SECRET, startSecretApi, STRATEGIES, type Row
} from '../../fixtures/cookie-strategies.js'
import { createContent, get, getWith, NAME, now, type Fields } from '../../fixtures/session-cookie.js'
import { encode, signHmac } from '../../fixtures/signing.js'

const FOREIGN_SECRET = 'x'.repeat(32)
const mint = STRATEGIES.compact

/** What Better Auth signs, without the end of the cookie. */
function createSession (user: Fields = {}, session: Fields = {}): Fields {
  const { iat, exp, ...rest } = createContent(user, session)
  return rest
}

const inFiveMinutes = () => Date.now() + 300_000

t.test('a cookie is accepted, and its claims are those of a JWT', async t => {
  const app = await startSecretApi(t)
  const time = Date.now()
  const session = { ...createSession({ name: 'Ада 🦊 "ü"' }), updatedAt: time }
  const { status, body } = await getWith(app, [[NAME, createCompact(session, time + 300_000)]])
  t.match({ status, user: body.user, session: body.session }, {
    status: 200, user: { id: 'u_1', name: 'Ада 🦊 "ü"' }, session: { userId: 'u_1', token: 'session-token' }
  })
  const times = { expiresAt: time + 300_000, iat: time / 1000, exp: (time + 300_000) / 1000 }
  t.strictSame(body.claims, { ...session, ...times })
})

t.test('refuses a cookie of which one thing is wrong', async t => {
  const log = captureLog()
  const app = await startSecretApi(t, {}, log)
  const good = createCompact(createSession(), inFiveMinutes())
  t.equal((await getWith(app, [[NAME, good]])).status, 200, 'with nothing wrong it is accepted')

  const text = Buffer.from(good, 'base64url').toString()
  const { session, expiresAt, signature } = JSON.parse(text) as {
    session: Fields, expiresAt: number, signature: string
  }
  const user = session.user as Fields
  const edited = (changes: Fields) => encode(JSON.stringify({ session, expiresAt, signature, ...changes }))
  const replaced = (from: string, to: string) => {
    const start = text.lastIndexOf(from)
    return encode(text.slice(0, start) + to + text.slice(start + from.length))
  }
  /** Signed by somebody who has the secret, in a spelling that Better Auth never signs. */
  const spelt = (json: string) => createCompact({}, 0, {
    signed: `${json},"expiresAt":${expiresAt}}`,
    wrap: signature => `{"session":${json}},"expiresAt":${expiresAt},"signature":"${signature}"}`
  })
  const open = JSON.stringify(session).slice(0, -1)
  const withExpiry = (expiresAt: unknown) => createCompact(createSession(), expiresAt)
  const nested = '['.repeat(5500) + ']'.repeat(5500)

  const rows: Row[] = [
    // The form.
    ['only its start', good.slice(0, 16), 'token_malformed'],
    ['cut in half', good.slice(0, good.length / 2), 'token_malformed'],
    ['without its last character', good.slice(0, -1), 'token_malformed'],
    ['without its first character', good.slice(1), 'token_malformed'],
    ['with padding', `${good}=`, 'token_malformed'],
    ['with a character too many', `${good}A`, 'token_malformed'],
    ['in base64 instead of base64url', `${good.slice(0, -8)}+/${good.slice(-6)}`, 'token_malformed'],
    ['with stray bits at its end', withStrayBits(good), 'token_malformed'],
    ['with a space in it', `${good.slice(0, 40)} ${good.slice(40)}`, 'token_malformed'],
    ['with a line break in it', `${good.slice(0, 40)}\r\n${good.slice(40)}`, 'token_malformed'],
    ['in base64url twice', encode(good), 'token_malformed'],
    ['of 100 kB', good + 'A'.repeat(100_000), 'token_too_long'],
    ['as JSON', text, 'token_malformed'],
    ['with a dot', `${good}.`, 'token_malformed'],
    ['with two dots', `${good}..`, 'algorithm_not_allowed'],
    // The JSON around the session.
    ['an empty object', encode('{}'), 'token_malformed'],
    ['an array', encode(`[${text}]`), 'token_malformed'],
    ['with white space in front', encode(` ${text}`), 'token_malformed'],
    ['with white space behind', encode(`${text}\n`), 'token_malformed'],
    ['with white space in it', replaced(',"expiresAt"', ', "expiresAt"'), 'token_malformed'],
    ['with another member', edited({ x: 1 }), 'token_malformed'],
    ['with __proto__ as another member', replaced('"signature"', '"__proto__":{},"signature"'), 'token_malformed'],
    ['without a session', encode(JSON.stringify({ expiresAt, signature })), 'token_malformed'],
    ['with an empty session', createCompact({}, expiresAt), 'token_malformed'],
    ['with the members in another order', encode(JSON.stringify({ expiresAt, session, signature })), 'token_malformed'],
    ['with an array as session', edited({ session: [session] }), 'token_malformed'],
    ['without an end', edited({ expiresAt: undefined }), 'token_malformed'],
    ['with a text as end', withExpiry(String(expiresAt)), 'token_malformed'],
    ['with null as end', withExpiry(null), 'token_malformed'],
    ['with a negative end', withExpiry(-1), 'token_malformed'],
    ['with a fraction as end', withExpiry(expiresAt + 0.5), 'token_malformed'],
    ['with an end in exponents', replaced(`${expiresAt},"sig`, '1e99,"sig'), 'token_malformed'],
    ['with an end of 17 digits', replaced(`${expiresAt},"sig`, '99999999999999999,"sig'), 'token_malformed'],
    // The signature.
    ['without a signature', edited({ signature: undefined }), 'token_malformed'],
    ['with an empty signature', edited({ signature: '' }), 'token_malformed'],
    ['with a number as signature', edited({ signature: 1 }), 'token_malformed'],
    ['with null as signature', edited({ signature: null }), 'token_malformed'],
    ['with an array as signature', edited({ signature: [signature] }), 'token_malformed'],
    ['with a signature that is too short', edited({ signature: signature.slice(1) }), 'token_malformed'],
    ['with a padded signature', edited({ signature: `${signature}=` }), 'token_malformed'],
    ['with a signature with stray bits', edited({ signature: withStrayBits(signature) }), 'token_malformed'],
    ['with a signature of zeros', edited({ signature: 'A'.repeat(43) }), 'signature_invalid'],
    ['with another signature', edited({ signature: createHmac('sha256', SECRET).update('x').digest('base64url') }),
      'signature_invalid'],
    ['of a foreign secret', createCompact(session, expiresAt, { secret: FOREIGN_SECRET }), 'signature_invalid'],
    ['of an empty secret', createCompact(session, expiresAt, { secret: '' }), 'signature_invalid'],
    ['with the session signed alone', createCompact(session, expiresAt, { signed: JSON.stringify(session) }),
      'signature_invalid'],
    ['with an edited user', edited({ session: { ...session, user: { ...user, id: 'u_2' } } }), 'signature_invalid'],
    ['with a role added', edited({ session: { ...session, user: { ...user, role: 'admin' } } }), 'signature_invalid'],
    ['with a ban taken away', replaced('"image":null', '"image":null,"banned":false'), 'signature_invalid'],
    ['with a later end', edited({ expiresAt: expiresAt + 1 }), 'signature_invalid'],
    ['with another version', edited({ session: { ...session, version: '2' } }), 'signature_invalid'],
    ['with a second session', replaced(',"expiresAt"', ',"session":{"user":{"id":"u_2"}},"expiresAt"'),
      'signature_invalid'],
    ['with a second end', replaced(',"signature"', `,"expiresAt":${expiresAt},"signature"`), 'token_malformed'],
    ['with a second user', replaced('"user":{', '"user":{"id":"u_2"},"user":{'), 'signature_invalid'],
    ['with a byte that is no UTF-8', encode(Buffer.from(text.replace('Ada', '\xff'), 'latin1')), 'signature_invalid'],
    // Signed by somebody who has the secret.
    ['signed with a second user', spelt(`${open},"user":{"id":"u_1"}`), 'token_malformed'],
    ['signed with a second end', spelt(`${open},"expiresAt":1`), 'token_malformed'],
    ['signed with white space', spelt(open.replace('"user":', '"user": ')), 'token_malformed'],
    ['signed with an escaped name', spelt(open.replace('"user":', '"\\u0075ser":')), 'token_malformed'],
    ['signed without JSON', spelt('{"session":{x'), 'token_malformed'],
    ['signed with __proto__ as session and user', spelt(
      '{"session":{},"updatedAt":1,"__proto__":{"user":{"id":"u_1"}}'
    ), 'session_invalid', 'user'],
    ['signed with thousands of levels', spelt(`{"session":{"x":${nested}},"updatedAt":1`), 'token_malformed'],
    ['with updatedAt in the future', mint({ ...createContent(), updatedAt: Date.now() + 60_000 }), 'token_not_active',
      'iat'],
    ['without updatedAt', mint({ ...createContent(), updatedAt: undefined }), 'session_invalid', 'updatedAt'],
    ['with a text as updatedAt', mint({ ...createContent(), updatedAt: '1' }), 'session_invalid', 'updatedAt'],
    ['with an end of 1970', withExpiry(now()), 'token_expired'],
    // Other strategies.
    ['a JWT of a foreign secret', signHmac(FOREIGN_SECRET, createContent()), 'signature_invalid'],
    ['the JSON as the payload of a JWT', signHmac(SECRET, text), 'session_invalid', 'user'],
    ...hostileContents(mint)
  ]
  t.ok(rows.length >= 90)
  await refusesEach(t, app, log, rows)
})

t.test('without the secret, the refusal names the strategy', async t => {
  const log = captureLog()
  const app = await startSecretApi(t, { sessionCookie: true }, log)
  const good = mint(createContent())
  await refusesEach(t, app, log, [
    ['a valid cookie', good, 'cookie_strategy'],
    ['a cookie of a foreign secret', createCompact(createSession(), 1, { secret: FOREIGN_SECRET }), 'cookie_strategy'],
    ['a part of one', good.slice(0, 30), 'cookie_strategy'],
    ['anything else', 'x', 'token_malformed'],
    ['any other JSON', encode('{"sessions":{}}'), 'token_malformed']
  ])
  t.match(log.refusals()[0], { hint: /sessionCookie\.secret/ })
})

t.test('a cookie is no bearer token', async t => {
  const app = await startSecretApi(t, { secret: SECRET })
  const { status, body } = await get(app, bearer(mint(createContent())))
  t.match({ status, body }, { status: 401, body: { code: 'FST_BETTER_AUTH_TOKEN_INVALID' } })
})

t.test('tells a whole cookie from a part of one', async t => {
  for (let length = 0; length < 8; length++) {
    const cookie = createCompact(createSession({ name: 'x'.repeat(length) }), inFiveMinutes())
    t.equal(isWholeCompact(cookie), true, `${cookie.length} characters`)
    for (const cut of [1, 2, 3, 4, 50, 57]) t.equal(isWholeCompact(cookie.slice(0, -cut)), false, `${cut} less`)
    t.equal(isWholeCompact(`${cookie}AAAA`), false)
    t.equal(isWholeCompact(`A${cookie}`), false)
  }
  for (const text of ['', 'A', encode('{"session":{')]) t.equal(isWholeCompact(text), false, text)
})

/** The same bytes in another spelling, or a text that ends with another character where there is none. */
function withStrayBits (text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1)!) ^ 1]!
}
