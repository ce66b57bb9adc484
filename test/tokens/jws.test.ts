import { constants, createSecretKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import t from 'tap'
import { ALGORITHMS, type Algorithm } from '../../lib/index.js'
import { importJwk } from '../../lib/keys/jwk.js'
import {
  isSignedBy, isSignedByLater, parseCanonical, parseJws as parse, parseObject, type Jws, type JwsHeader
} from '../../lib/tokens/jws.js'
import { createSigningKey, createSigningKeys, encode, signBytes, signHmac, signJws } from '../fixtures/signing.js'
import { reasonOf } from '../fixtures/refusals.js'

const ALL = new Set<string>([...ALGORITHMS, 'HS256'])
const SECRET = randomBytes(32)

/** With the types of an access token. */
function parseJws (token: string, algorithms: ReadonlySet<string>, known?: ReadonlyMap<string, JwsHeader>): Jws {
  return parse(token, { algorithms, types: [undefined, 'jwt', 'at+jwt'] }, known)
}

const KEYS = new Map(ALGORITHMS.map(alg => [alg, createSigningKey(alg)]))
const KEY = KEYS.get('EdDSA')!

const reason = (token: string, algorithms = ALL) => reasonOf(() => parseJws(token, algorithms))
const withHeader = (header: unknown) => signJws(KEY, { sub: 'u_1' }, header)

t.test('takes a token apart', async t => {
  const token = withHeader({ typ: 'JWT' })
  const { payload, signature, signingInput, ...header } = parseJws(token, ALL)
  const curve = undefined
  t.strictSame(header, { alg: 'EdDSA', curve, kid: KEY.kid, typ: 'jwt', token, headerSegment: token.split('.')[0] })
  t.strictSame(parseObject(payload), { sub: 'u_1' })
  t.equal(`${signingInput.toString()}.${encode(signature)}`, token)
  t.strictSame(parseJws(signHmac(SECRET, {}), ALL).kid, undefined)
})

t.test('the thread pool comes to the same verdict', async t => {
  const later = (jws: Jws, key: KeyObject) => new Promise(resolve => { isSignedByLater(jws, key, resolve) })
  for (const [alg, key] of KEYS) {
    const jws = parseJws(signJws(key, { sub: 'u_1' }), ALL)
    t.equal(await later(jws, key.publicKey), true, alg)
    for (const [other, { publicKey }] of KEYS) {
      if (other !== alg) t.equal(await later(jws, publicKey), false, `${alg} with a key for ${other}`)
    }
    t.equal(await later(jws, createSecretKey(SECRET)), false, `${alg} with a secret as the key`)
    for (const length of [0, 1, 31, 63, 65, 5000]) {
      t.equal(await later({ ...jws, signature: randomBytes(length) }, key.publicKey), false, `${alg}, ${length} bytes`)
    }
  }
})

t.test('sign and verify', async t => {
  const others = createSigningKeys()
  for (const [alg, key] of KEYS) {
    const jws = parseJws(signJws(key, { sub: 'u_1' }), ALL)
    t.equal(jws.alg, alg)
    t.ok(isSignedBy(jws, importJwk(key.jwk).publicKey), `${alg} by its key`)
    t.notOk(isSignedBy(jws, others.get(alg)!.publicKey), `${alg} by another key of its kind`)
    t.notOk(
      isSignedBy({ ...jws, signingInput: Buffer.concat([jws.signingInput, Buffer.from('A')]) }, key.publicKey),
      `${alg} over something else`
    )

    const spoilt = Buffer.from(jws.signature)
    spoilt[5]! ^= 1
    const signatures: Record<string, Buffer> = {
      'with one bit changed': spoilt,
      'of zeros': Buffer.alloc(jws.signature.length),
      'of ones': Buffer.alloc(jws.signature.length, 0xff),
      'cut by one byte': jws.signature.subarray(0, -1),
      'with a byte more': Buffer.concat([jws.signature, Buffer.alloc(1)]),
      'of one byte': Buffer.from([0]),
      absent: Buffer.alloc(0),
      'of 100 kB': Buffer.alloc(100_000, 1)
    }
    for (const [what, signature] of Object.entries(signatures)) {
      t.notOk(
        isSignedBy({ ...jws, signature }, key.publicKey), `${alg} refuses a signature ${what}`
      )
    }
  }
})

t.test('sign and verify with Ed448', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('ed448')
  const jws = parseJws(signJws({ ...KEY, privateKey }, {}), ALL)
  t.ok(isSignedBy(jws, publicKey))
  t.notOk(isSignedBy({ ...jws, signingInput: Buffer.from('x') }, publicKey))
})

t.test('sign and verify with a shared secret', async t => {
  const jws = parseJws(signHmac(SECRET, {}), ALL)
  t.equal(jws.alg, 'HS256')
  t.ok(isSignedBy(jws, createSecretKey(SECRET)))
  t.notOk(isSignedBy(jws, createSecretKey(randomBytes(32))), 'by another secret')
  t.notOk(isSignedBy({ ...jws, signingInput: Buffer.from('x') }, createSecretKey(SECRET)), 'over something else')
  t.notOk(isSignedBy({ ...jws, signature: jws.signature.subarray(0, -1) }, createSecretKey(SECRET)), 'cut')
  t.notOk(
    isSignedBy({ ...jws, signature: Buffer.concat([jws.signature, Buffer.alloc(1)]) }, createSecretKey(SECRET)),
    'with a byte more'
  )
  for (const digest of ['sha384', 'sha512', 'sha1']) {
    t.notOk(
      isSignedBy(parseJws(signHmac(SECRET, {}, {}, digest), ALL), createSecretKey(SECRET)), digest
    )
  }
})

t.test('a key of a kind that does not fit the algorithm verifies nothing', async t => {
  const keys = ['EdDSA', 'ES256', 'RS256'] as const
  for (const alg of keys) {
    const jws = parseJws(signJws(KEYS.get(alg)!, {}), ALL)
    for (const other of keys) {
      if (other !== alg) t.equal(isSignedBy(jws, KEYS.get(other)!.publicKey), false, `${alg} with a key for ${other}`)
    }
  }
  for (const alg of ['ES256', 'RS256', 'PS256'] as const) {
    t.notOk(
      isSignedBy({ ...parseJws(withHeader({}), ALL), alg }, KEY.publicKey),
      `${alg} with the key that made the signature`
    )
  }
})

t.test('refuses an ECDSA signature in DER', async t => {
  for (const alg of ['ES256', 'ES384', 'ES512'] as const) {
    const key = KEYS.get(alg)!
    const jws = parseJws(signJws(key, {}), ALL)
    const half = jws.signature.length / 2
    const integers = [jws.signature.subarray(0, half), jws.signature.subarray(half)].map(derInteger)
    const body = Buffer.concat(integers)
    const length = body.length < 128 ? [body.length] : [0x81, body.length]
    t.notOk(
      isSignedBy({ ...jws, signature: Buffer.concat([Buffer.from([0x30, ...length]), body]) }, key.publicKey), alg
    )
  }
})

function derInteger (bytes: Buffer): Buffer {
  const digits = bytes.subarray(bytes.findIndex(byte => byte !== 0))
  const padded = digits[0]! < 128 ? digits : Buffer.concat([Buffer.from([0]), digits])
  return Buffer.concat([Buffer.from([2, padded.length]), padded])
}

t.test('PS256 wants a salt as long as its digest', async t => {
  const key = KEYS.get('PS256')!
  const jws = parseJws(signJws(key, {}), ALL)
  for (const saltLength of [0, 20, 64]) {
    const signature = sign('sha256', jws.signingInput, {
      key: key.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength
    })
    t.notOk(isSignedBy({ ...jws, signature }, key.publicKey), `${saltLength} bytes`)
  }
})

/** Examples of RFC 7515, A.1 to A.4, and RFC 8037, A.4. They have no `kid`, so parseJws() accepts only HS256. */
const PAYLOAD = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
const VECTORS: Array<{
  name: string
  jwk: Record<string, string>
  alg: Algorithm
  input: string
  signature: string
}> = [
  {
    name: 'RFC 7515 A.2, RS256',
    jwk: {
      kty: 'RSA',
      n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR' +
        'T-SFd2lZS-pCgNMsD1W_YpRPEwOWv' +
        'G6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsm' +
        'tdVMTBQY4uDZlxvb3qCo5ZwKh9k' +
        'G4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
      e: 'AQAB'
    },
    alg: 'RS256',
    input: `eyJhbGciOiJSUzI1NiJ9.${PAYLOAD}`,
    signature: 'cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9' +
      'uJdbF9CUAr7t1dnZcAcQjbKBYNX4' +
      'BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwu' +
      'sC-eOkHWEsqtFZESc6BfI7noOPqv' +
      'hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw'
  },
  {
    name: 'RFC 7515 A.3, ES256',
    jwk: {
      kty: 'EC',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'
    },
    alg: 'ES256',
    input: `eyJhbGciOiJFUzI1NiJ9.${PAYLOAD}`,
    signature: 'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
  },
  {
    name: 'RFC 7515 A.4, ES512',
    jwk: {
      kty: 'EC',
      crv: 'P-521',
      x: 'AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk',
      y: 'ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2'
    },
    alg: 'ES512',
    input: 'eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA',
    signature: 'AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCA' +
      'PZgoXD2YBJZCPEX3xKpRwcdOO8Kp' +
      'EHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn'
  },
  {
    name: 'RFC 8037 A.4, EdDSA',
    jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
    alg: 'EdDSA',
    input: 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc',
    signature: 'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
  }
]

for (const { name, jwk, alg, input, signature } of VECTORS) {
  t.test(`verifies the example of ${name}`, async t => {
    const { publicKey, algorithms } = importJwk({ ...jwk, kid: 'rfc' })
    const [headerSegment, payload] = input.split('.') as [string, string]
    const jws: Jws = {
      alg,
      curve: undefined,
      kid: 'rfc',
      typ: undefined,
      token: `${input}.${signature}`,
      headerSegment,
      payload: Buffer.from(payload, 'base64url'),
      signingInput: Buffer.from(input),
      signature: Buffer.from(signature, 'base64url')
    }
    t.ok(algorithms.includes(alg))
    t.ok(isSignedBy(jws, publicKey))
    t.notOk(
      isSignedBy({ ...jws, signingInput: Buffer.from(input.replace('ey', 'eY')) }, publicKey), 'and not another text'
    )
    t.equal(await reason(`${input}.${signature}`), 'kid_invalid', 'which no server would accept without a kid')
  })
}

t.test('verifies the example of RFC 7515 A.1, HS256', async t => {
  const k = 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow'
  const jws = parseJws(
    `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`, ALL
  )
  t.match(jws, { alg: 'HS256', typ: 'jwt', kid: undefined })
  t.strictSame(parseObject(jws.payload), { iss: 'joe', exp: 1300819380, 'http://example.com/is_root': true })
  t.ok(isSignedBy(jws, createSecretKey(k, 'base64url')))
})

t.test('algorithms', async t => {
  const names = [
    'none', 'None', 'NONE', 'nOnE', '', 'HS384', 'HS512', 'ES256K', 'ed25519', 'eddsa', 'es256', 'RS1', 'dir',
    'constructor', '__proto__', null, 1, true, [], ['EdDSA'], {}, undefined
  ]
  for (const alg of names) t.equal(await reason(withHeader({ alg })), 'algorithm_not_allowed', JSON.stringify(alg))
  t.equal(
    await reason(withHeader({}), new Set(['ES256'])),
    'algorithm_not_allowed',
    'one that this registration does not accept'
  )
  t.equal(
    await reason(signHmac(SECRET, {}), new Set(ALGORITHMS)), 'algorithm_not_allowed', 'HS256 where there is no secret'
  )
})

t.test('kinds of token', async t => {
  const accepted: Array<[typ: string | undefined, as: string | undefined]> = [
    [undefined, undefined], ['JWT', 'jwt'], ['jwt', 'jwt'], ['at+jwt', 'at+jwt'], ['AT+JWT', 'at+jwt'], [
      'application/at+jwt', 'at+jwt'
    ], ['Application/JWT', 'jwt']
  ]
  for (const [typ, as] of accepted) t.equal(parseJws(withHeader({ typ }), ALL).typ, as, String(typ))
  const refused = [
    'better-auth.session-cache+jwt', 'logout+jwt', 'id+jwt', 'dpop+jwt', 'JOSE', 'JWE', '', ' JWT', 'JWT ',
    'application/', 'application/application/jwt', 'atapplication/+jwt',
    'text/jwt', 'at+jwt; x=1', null, 1, true, [], ['JWT'], {}
  ]
  for (const typ of refused) t.equal(await reason(withHeader({ typ })), 'typ_not_allowed', JSON.stringify(typ))
})

t.test('extensions, none of which is understood', async t => {
  for (const crit of [['exp'], ['b64'], [], null, 'exp', false, 0, {}]) {
    t.equal(
      await reason(withHeader({ crit })), 'critical_header', `crit: ${JSON.stringify(crit)}`
    )
  }
  for (const b64 of [false, true, null]) t.equal(await reason(withHeader({ b64 })), 'critical_header', `b64: ${b64}`)
  t.equal(await reason(withHeader({ crit: ['b64'], b64: false })), 'critical_header')
})

t.test('encrypted tokens', async t => {
  t.equal(await reason('a.b.c.d.e'), 'token_encrypted')
  t.equal(await reason('....'), 'token_encrypted')
  for (const enc of ['A256GCM', null, 0]) {
    t.equal(await reason(withHeader({ enc })), 'token_encrypted', JSON.stringify(enc))
  }
})

t.test('what a header says of keys is not looked at', async t => {
  const other = createSigningKey()
  const header = {
    jku: 'https://evil.example/jwks', jwk: other.jwk, x5u: 'https://evil.example/x5u', x5c: ['AA'], x5t: 'AA'
  }
  const jws = parseJws(signJws(other, {}, { ...header, kid: KEY.kid }), ALL)
  t.equal(jws.kid, KEY.kid)
  t.notOk(isSignedBy(jws, KEY.publicKey))
})

t.test('names of keys', async t => {
  for (const kid of ['1', ' ', '../../etc/passwd', 'ключ', '🔑', '__proto__', '"', '\0', 'k'.repeat(512)]) {
    t.equal(parseJws(withHeader({ kid }), ALL).kid, kid, JSON.stringify(kid).slice(0, 30))
  }
  for (const kid of [
    undefined, '', null, 0, 1, true, [], ['x'], {}, 'k'.repeat(513), 'k'.repeat(10_000), '\ud800', 'a\udc00b'
  ]) {
    t.equal(await reason(withHeader({ kid })), 'kid_invalid', JSON.stringify(kid)?.slice(0, 30))
  }
  for (const kid of ['x', '', null, 0]) {
    t.equal(
      await reason(signHmac(SECRET, {}, { kid })), 'kid_invalid', `HS256 with ${JSON.stringify(kid)}`
    )
  }
})

t.test('a header that was judged before is not judged again', async t => {
  const token = withHeader({ typ: 'JWT' })
  const { alg, curve, kid, typ, headerSegment } = parseJws(token, ALL)
  const known = new Map([[headerSegment, { alg, curve, kid, typ }]])
  t.strictSame(parseJws(token, new Set(), known), parseJws(token, ALL))
  t.equal(
    await reasonOf(() => parseJws(withHeader({}), new Set(), known)), 'algorithm_not_allowed', 'another header is'
  )
  t.equal(
    await reasonOf(() => parseJws(`${headerSegment}..AA`, ALL, known)), 'token_malformed', 'nor does it excuse the rest'
  )
})

t.test('segments', async t => {
  const token = withHeader({})
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const strayEnd = String.fromCharCode(signature.charCodeAt(signature.length - 1) + 1)
  const malformed: Record<string, string> = {
    none: '',
    dots: '..',
    one: header,
    two: `${header}.${payload}`,
    four: `${token}.AA`,
    six: `${token}.AA.AA.AA`,
    'a hundred thousand': '.'.repeat(100_000),
    'no header': `.${payload}.${signature}`,
    'no payload': `${header}..${signature}`,
    'no signature': `${header}.${payload}.`,
    'a blank at the end': `${token} `,
    'a line break': `${header}\n.${payload}.${signature}`,
    'padding in the header': `${encode('{}')}=.${payload}.${signature}`,
    'padding in the payload': `${header}.${payload}=.${signature}`,
    'padding in the signature': `${token}==`,
    'base64 in the signature': `${header}.${payload}.${signature.slice(0, -2)}+/`,
    'a character of no alphabet': `${header}.${payload}.${signature.slice(0, 9)}!${signature.slice(9)}`,
    'a null byte': `${header}.${payload}.\0${signature}`,
    // U+0141 and U+0041, "A", are the same byte in ISO 8859-1 cut to eight bits.
    'a letter that only looks like one': `${header}.${payload}.\u0141${signature.slice(1)}`,
    'a character that stands for no byte': `${token}AAA`,
    'stray trailing bits': `${header}.${payload}.${signature.slice(0, -1)}${strayEnd}`
  }
  for (const [what, text] of Object.entries(malformed)) t.equal(await reason(text), 'token_malformed', what)
  for (const kid of ['k', 'kk', 'kkk']) t.equal(await reason(`${encode({ alg: 'EdDSA', kid })}A`), 'token_malformed')
})

t.test('headers that are no JSON object', async t => {
  const headers: Record<string, unknown> = {
    'no JSON': 'x',
    'an array': [],
    'an array of a header': [{ alg: 'EdDSA', kid: 'x' }],
    null: 'null',
    'a string': '"EdDSA"',
    'a number': '1',
    'text after the object': '{"alg":"EdDSA","kid":"x"} x',
    'a byte order mark': Buffer.from('\ufeff{"alg":"EdDSA","kid":"x"}'),
    'UTF-16': Buffer.from('{"alg":"EdDSA","kid":"x"}', 'utf16le'),
    'UTF-8 that is broken': Buffer.concat(
      [Buffer.from('{"alg":"EdDSA","kid":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]
    ),
    'UTF-8 longer than need be': Buffer.concat(
      [Buffer.from('{"alg":"EdDSA","kid":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]
    ),
    'deep nesting': '['.repeat(50_000)
  }
  for (const [what, header] of Object.entries(headers)) {
    t.equal(await reason(`${encode(header)}.e30.AA`), 'token_malformed', what)
  }
  t.equal(
    await reason(`${encode('{"__proto__":{"alg":"EdDSA","kid":"x"}}')}.e30.AA`), 'algorithm_not_allowed',
    'a header in the prototype'
  )
})

t.test('payloads are JSON objects', async t => {
  t.strictSame(parseObject(Buffer.from(' {"a":"\u00e9"} ')), { a: '\u00e9' })
  for (const text of ['', ' ', 'x', 'null', '1', '"x"', 'true', '[]', '[{}]', '{', '{}{}', "{'a':1}", '\ufeff{}']) {
    t.equal(await reasonOf(() => parseObject(Buffer.from(text))), 'token_malformed', JSON.stringify(text))
  }
  t.equal(
    await reasonOf(() => parseObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))), 'token_malformed',
    'broken UTF-8'
  )
})

t.test('what JSON.stringify() writes has one spelling', async t => {
  const proto = JSON.parse('{"__proto__":1}') as object
  for (const value of [{}, { a: 1 }, { a: [null, true, 'ü🦊\u2028"'], 2: {}, 1: -1e21 }, proto]) {
    t.strictSame(parseCanonical(Buffer.from(JSON.stringify(value))), value)
  }
  const nested = (levels: number) => `{"a":${'['.repeat(levels - 1)}null${']'.repeat(levels - 1)}}`
  t.ok(parseCanonical(Buffer.from(nested(100))), 'of a hundred levels as well')
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  for (const text of [
    nested(101),
    '{"a":1,"a":1}', '{"a":{"b":1,"b":2}}', ' {}', '{} ', '{"a": 1}', '{"a":1.0}', '{"a":1e3}', '{"a":-0}',
    '{"a":1e999}', '{"\\u0061":1}', '{"a":"\\/"}', '{"2":1,"1":1}', '\ufeff{}', '[]', 'null', '', `{"a":${deep}}`
  ]) {
    t.equal(await reasonOf(() => parseCanonical(Buffer.from(text))), 'token_malformed', text.slice(0, 20))
  }
})

t.test('a signature over other bytes of the same meaning does not count', async t => {
  const input = `${encode({ kid: KEY.kid, alg: 'EdDSA' })}.${encode({})}`
  const signature = signBytes(KEY, Buffer.from(`${encode({ alg: 'EdDSA', kid: KEY.kid })}.${encode({})}`))
  t.notOk(isSignedBy(parseJws(`${input}.${encode(signature)}`, ALL), KEY.publicKey))
})

t.test('Ed25519 and Ed448 are EdDSA on one curve', async t => {
  for (const name of ['Ed25519', 'Ed448']) {
    t.match(parseJws(withHeader({ alg: name }), ALL), { alg: 'EdDSA', curve: name.toLowerCase() })
    const refused = await reason(withHeader({ alg: name }), new Set(['ES256']))
    t.equal(refused, 'algorithm_not_allowed', `${name} where EdDSA is not accepted`)
  }
  t.equal(parseJws(withHeader({ alg: 'EdDSA' }), ALL).curve, undefined)
  for (const alg of ['ed25519', 'ED448', 'Ed25519 ', 'X25519', ['Ed25519']]) {
    t.equal(await reasonOf(() => parseJws(withHeader({ alg }), ALL)), 'algorithm_not_allowed', JSON.stringify(alg))
  }
})
