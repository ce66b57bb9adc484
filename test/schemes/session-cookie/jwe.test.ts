import { EncryptJWT } from 'jose'
import t from 'tap'
import { bearer, captureLog } from '../../fixtures/api.js'
import {
  encrypt, hostileContents, refusesEach, SECRET, startSecretApi, STRATEGIES, type Row
} from '../../fixtures/cookie-strategies.js'
import { createContent, get, getWith, NAME, now, type Fields } from '../../fixtures/session-cookie.js'
import { encode, signHmac } from '../../fixtures/signing.js'

const FOREIGN_SECRET = 'x'.repeat(32)
const KID = kidOf(encrypt({}))

function kidOf (cookie: string): string {
  return (JSON.parse(Buffer.from(cookie.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid
}

t.test('a cookie is accepted, and its claims are those that were encrypted', async t => {
  const app = await startSecretApi(t)
  const content = { ...createContent({ name: 'Ада 🦊 "ü"' }), jti: 'j' }
  const { status, body } = await getWith(app, [[NAME, encrypt(content)]])
  t.match({ status, user: body.user }, { status: 200, user: { id: 'u_1', name: 'Ада 🦊 "ü"' } })
  t.strictSame(body.claims, content)
  t.strictSame(body.session, content.session)
})

t.test('a cookie that jose encrypts is accepted', async t => {
  const app = await startSecretApi(t)
  const key = await crypto.subtle.importKey('raw', Buffer.from(SECRET), 'HKDF', false, ['deriveBits'])
  const bits = await crypto.subtle.deriveBits({
    name: 'HKDF',
    hash: 'SHA-256',
    salt: Buffer.from('better-auth-session'),
    info: Buffer.from('BetterAuth.js Generated Encryption Key')
  }, key, 512)
  const jwt = new EncryptJWT(createContent()).setProtectedHeader({ alg: 'dir', enc: 'A256CBC-HS512', kid: KID })
  t.equal((await getWith(app, [[NAME, await jwt.encrypt(new Uint8Array(bits))]])).status, 200)

  const log = captureLog()
  const strict = await startSecretApi(t, {}, log)
  const gcm = new EncryptJWT(createContent()).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: KID })
  t.equal((await getWith(strict, [[NAME, await gcm.encrypt(new Uint8Array(bits).subarray(32))]])).status, 401)
  t.match(log.refusals(), [{ reason: 'algorithm_not_allowed' }], 'with the one algorithm that Better Auth uses')
})

t.test('refuses a cookie of which one thing is wrong', async t => {
  const log = captureLog()
  const app = await startSecretApi(t, {}, log)
  const content = createContent()
  const good = encrypt(content)
  t.equal((await getWith(app, [[NAME, good]])).status, 200, 'with nothing wrong it is accepted')

  const parts = good.split('.') as [string, string, string, string, string]
  const [header, , iv, ciphertext, tag] = parts
  const withPart = (index: number, value: string) => parts.with(index, value).join('.')
  const bytes = Buffer.from(ciphertext, 'base64url')
  const changed = (index: number) => {
    const copy = Buffer.from(bytes)
    copy[(index + copy.length) % copy.length]! ^= 1
    return encode(copy)
  }
  const withHeader = (header: Fields | string) => encrypt(content, { header })
  /** A header that somebody without the secret wrote, around what the secret encrypted. */
  const reheaded = (changes: Fields) => withPart(0, encode({ alg: 'dir', enc: 'A256CBC-HS512', kid: KID, ...changes }))
  const foreign = encrypt(content, { secret: FOREIGN_SECRET })
  const other = encrypt(createContent({ id: 'u_2' }, { userId: 'u_2' })).split('.')
  const json = JSON.stringify(content)

  const rows: Row[] = [
    // The form.
    ['of four parts', good.slice(0, good.lastIndexOf('.')), 'token_malformed'],
    ['of six parts', `${good}.AA`, 'token_malformed'],
    ['of dots alone', '....', 'token_malformed'],
    ['of garbage', 'a.b.c.d.e', 'token_malformed'],
    ['without a header', withPart(0, ''), 'token_malformed'],
    ['with an encrypted key', withPart(1, 'AAAA'), 'token_malformed'],
    ['without an initialisation vector', withPart(2, ''), 'token_malformed'],
    ['with a shorter initialisation vector', withPart(2, iv.slice(0, 16)), 'token_malformed'],
    ['with a longer initialisation vector', withPart(2, `${iv.slice(0, 21)}QAAA`), 'token_malformed'],
    ['with another initialisation vector', withPart(2, encode(Buffer.alloc(16))), 'signature_invalid'],
    ['encrypted with a shorter vector', encrypt(content, { ivLength: 12 }), 'token_malformed'],
    ['without a ciphertext', withPart(3, ''), 'token_malformed'],
    ['with one block less', withPart(3, encode(bytes.subarray(0, -16))), 'signature_invalid'],
    ['with one block more', withPart(3, encode(Buffer.concat([bytes, Buffer.alloc(16)]))), 'signature_invalid'],
    ['with half a block less', withPart(3, encode(bytes.subarray(0, -8))), 'signature_invalid'],
    ['with another first byte', withPart(3, changed(0)), 'signature_invalid'],
    ['with another last byte', withPart(3, changed(-1)), 'signature_invalid'],
    ['without a tag', withPart(4, ''), 'token_malformed'],
    ['with a shorter tag', withPart(4, tag.slice(0, 22)), 'token_malformed'],
    ['with a tag of one byte', withPart(4, 'AA'), 'token_malformed'],
    ['with a longer tag', withPart(4, encode(Buffer.alloc(64))), 'token_malformed'],
    ['with a tag of zeros', withPart(4, encode(Buffer.alloc(32))), 'signature_invalid'],
    ['with the tag of another cookie', withPart(4, other[4]!), 'signature_invalid'],
    ['with the ciphertext of another cookie', withPart(3, other[3]!), 'signature_invalid'],
    ['with a padded tag', withPart(4, `${tag}=`), 'token_malformed'],
    ['with stray bits at its end', `${good.slice(0, -1)}${nextTo(good.at(-1)!)}`, 'token_malformed'],
    ['with base64 in it', withPart(3, `+/${ciphertext.slice(2)}`), 'token_malformed'],
    ['with a space in it', withPart(3, `${ciphertext.slice(0, 9)} ${ciphertext.slice(9)}`), 'token_malformed'],
    ['with a line break in it', withPart(3, `${ciphertext.slice(0, 9)}\r\n${ciphertext.slice(9)}`), 'token_malformed'],
    ['cut in half', good.slice(0, good.length / 2), 'token_malformed'],
    ['of 100 kB', `${good}${'A'.repeat(100_000)}`, 'token_too_long'],
    // The key.
    ['of a foreign secret', foreign, 'signature_invalid'],
    ['of a foreign secret, under the name of ours',
      encrypt(content, { secret: FOREIGN_SECRET, header: { kid: KID } }), 'signature_invalid'],
    ['of an empty secret', encrypt(content, { secret: '', header: { kid: KID } }), 'signature_invalid'],
    ['of the key for the cookie with accounts', encrypt(content, { salt: 'better-auth-account' }), 'signature_invalid'],
    ['of the key for accounts, under our name',
      encrypt(content, { salt: 'better-auth-account', header: { kid: KID } }), 'signature_invalid'],
    ['of a key with other info', encrypt(content, { info: '', header: { kid: KID } }), 'signature_invalid'],
    // The header, by somebody who has the secret.
    ['alg none', withHeader({ alg: 'none' }), 'algorithm_not_allowed'],
    ['no alg', withHeader({ alg: undefined }), 'algorithm_not_allowed'],
    ['an array as alg', withHeader({ alg: ['dir'] }), 'algorithm_not_allowed'],
    ['alg in capitals', withHeader({ alg: 'DIR' }), 'algorithm_not_allowed'],
    ['alg A256KW', withHeader({ alg: 'A256KW' }), 'algorithm_not_allowed'],
    ['alg PBES2-HS512+A256KW', withHeader({ alg: 'PBES2-HS512+A256KW', p2c: 2 ** 31 }), 'algorithm_not_allowed'],
    ['alg HS256', withHeader({ alg: 'HS256' }), 'algorithm_not_allowed'],
    ['enc A256GCM', withHeader({ enc: 'A256GCM' }), 'algorithm_not_allowed'],
    ['enc A128CBC-HS256', withHeader({ enc: 'A128CBC-HS256' }), 'algorithm_not_allowed'],
    ['no enc', withHeader({ enc: undefined }), 'algorithm_not_allowed'],
    ['an object as enc', withHeader({ enc: {} }), 'algorithm_not_allowed'],
    ['no kid', withHeader({ kid: undefined }), 'kid_invalid'],
    ['kid null', withHeader({ kid: null }), 'kid_invalid'],
    ['an array as kid', withHeader({ kid: [KID] }), 'kid_invalid'],
    ['an empty kid', withHeader({ kid: '' }), 'signature_invalid'],
    ['another kid', withHeader({ kid: kidOf(foreign) }), 'signature_invalid'],
    ['a kid in capitals', withHeader({ kid: KID.toUpperCase() }), 'signature_invalid'],
    ['compressed', withHeader({ zip: 'DEF' }), 'critical_header'],
    ['a critical extension', withHeader({ crit: ['x'], x: 1 }), 'critical_header'],
    ['an empty list of them', withHeader({ crit: [] }), 'critical_header'],
    ['b64', withHeader({ b64: true }), 'critical_header'],
    ['typ JWT', withHeader({ typ: 'JWT' }), 'typ_not_allowed'],
    ['a JWT in it', withHeader({ cty: 'JWT' }), 'typ_not_allowed'],
    ['an array as header', withHeader('[]'), 'token_malformed'],
    ['null as header', withHeader('null'), 'token_malformed'],
    ['a header that is no JSON', withHeader('{alg:dir}'), 'token_malformed'],
    ['a header with two kids', withHeader(`{"alg":"dir","enc":"A256CBC-HS512","kid":"x","kid":"${KID}"}`),
      'token_malformed'],
    ['a header with white space', withHeader(`{"alg":"dir", "enc":"A256CBC-HS512","kid":"${KID}"}`), 'token_malformed'],
    ['a header in __proto__', withHeader(`{"__proto__":{"alg":"dir","enc":"A256CBC-HS512","kid":"${KID}"}}`),
      'algorithm_not_allowed'],
    // The header, by somebody who has not.
    ['a member more in the header', reheaded({ x: 1 }), 'signature_invalid'],
    ['the header in another order', withPart(0, encode({ kid: KID, enc: 'A256CBC-HS512', alg: 'dir' })),
      'signature_invalid'],
    ['a tag for another header', encrypt(content, { aad: `${header}A` }), 'signature_invalid'],
    // What is encrypted, by somebody who has the secret.
    ['a wrong padding', encrypt('', { padded: Buffer.alloc(16) }), 'token_malformed'],
    ['no whole block', encryptedPart(good), 'signature_invalid'],
    ['nothing', encrypt(''), 'token_malformed'],
    ['no JSON', encrypt('x'), 'token_malformed'],
    ['null', encrypt('null'), 'token_malformed'],
    ['an array', encrypt(`[${json}]`), 'token_malformed'],
    ['a text with JSON', encrypt(JSON.stringify(json)), 'token_malformed'],
    ['JSON with white space', encrypt(` ${json}`), 'token_malformed'],
    ['JSON with two users', encrypt(json.replace('"user":', '"user":{"id":"u_2"},"user":')), 'token_malformed'],
    ['JSON with two ends', encrypt(json.replace('"exp":', '"exp":1,"exp":')), 'token_malformed'],
    ['JSON with an escaped name', encrypt(json.replace('"exp":', '"\\u0065xp":')), 'token_malformed'],
    ['JSON in __proto__', encrypt(`{"__proto__":${json}}`), 'session_invalid', 'user'],
    ['a byte order mark', encrypt(`\ufeff${json}`), 'token_malformed'],
    ['bytes that are no UTF-8', encrypt('', { padded: Buffer.from(`${'\xff'.repeat(15)}\x01`, 'latin1') }),
      'token_malformed'],
    ['thousands of levels', encrypt(`${'['.repeat(5500)}${']'.repeat(5500)}`), 'token_malformed'],
    ['thousands of levels in an object', encrypt(`{"x":${'['.repeat(5500)}${']'.repeat(5500)}}`), 'token_malformed'],
    ['without an end', encrypt({ ...content, exp: undefined }), 'claim_missing', 'exp'],
    ['with a text as end', encrypt({ ...content, exp: String(now() + 60) }), 'claim_invalid', 'exp'],
    ['with null as end', encrypt({ ...content, exp: null }), 'claim_invalid', 'exp'],
    ['issued in the future', encrypt({ ...content, iat: now() + 60 }), 'token_not_active', 'iat'],
    ['a JWT', encrypt(signHmac(SECRET, content)), 'token_malformed'],
    ['the cookie with accounts', encrypt({ userId: 'u_1', exp: now() + 60 }), 'session_invalid', 'user'],
    ...hostileContents(STRATEGIES.jwe)
  ]
  t.ok(rows.length >= 110)
  await refusesEach(t, app, log, rows)
})

t.test('without the secret, the refusal names the strategy', async t => {
  const log = captureLog()
  const app = await startSecretApi(t, { sessionCookie: true }, log)
  await refusesEach(t, app, log, [
    ['a valid cookie', encrypt(createContent()), 'cookie_strategy'],
    ['anything of five parts', 'a.b.c.d.e', 'cookie_strategy'],
    ['of six parts', 'a.b.c.d.e.f', 'token_malformed']
  ])
})

t.test('a cookie is no bearer token', async t => {
  const log = captureLog()
  const app = await startSecretApi(t, { secret: SECRET }, log)
  t.equal((await get(app, bearer(encrypt(createContent())))).status, 401)
  t.match(log.refusals(), [{ reason: 'token_encrypted' }])
})

/** A cookie whose ciphertext ends in the middle of a block. */
function encryptedPart (cookie: string): string {
  const parts = cookie.split('.')
  return parts.with(3, encode(Buffer.from(parts[3]!, 'base64url').subarray(0, 20))).join('.')
}

/** Another character that stands for the same last bits of a byte. */
function nextTo (character: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet[alphabet.indexOf(character) ^ 1]!
}
