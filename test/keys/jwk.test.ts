import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import t from 'tap'
import { ALGORITHMS, type Algorithm } from '../../lib/index.js'
import { importJwk, isKid, isSameKey, UnusableJwkError, type Jwk } from '../../lib/keys/jwk.js'

const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const

const exportJwk = ({ publicKey }: { publicKey: KeyObject }): Jwk =>
  ({ ...publicKey.export({ format: 'jwk' }), kid: 'k' })
const rsa = (modulusLength: number, publicExponent?: number) => exportJwk(generateKeyPairSync(
  'rsa', { modulusLength, ...publicExponent && { publicExponent } }
))
const ec = (namedCurve: string) => exportJwk(generateKeyPairSync('ec', { namedCurve }))
const ed25519 = () => exportJwk(generateKeyPairSync('ed25519'))
const ed448 = () => exportJwk(generateKeyPairSync('ed448'))

const KINDS: Array<{ name: string, jwk: Jwk, algorithms: readonly Algorithm[] }> = [
  { name: 'RSA of 2048 bits', jwk: rsa(2048), algorithms: RSA },
  { name: 'RSA of 3072 bits', jwk: rsa(3072), algorithms: RSA },
  { name: 'RSA with exponent 3', jwk: rsa(2048, 3), algorithms: RSA },
  { name: 'EC P-256', jwk: ec('P-256'), algorithms: ['ES256'] },
  { name: 'EC P-384', jwk: ec('P-384'), algorithms: ['ES384'] },
  { name: 'EC P-521', jwk: ec('P-521'), algorithms: ['ES512'] },
  { name: 'OKP Ed25519', jwk: ed25519(), algorithms: ['EdDSA'] },
  { name: 'OKP Ed448', jwk: ed448(), algorithms: ['EdDSA'] }
]
const [RSA_JWK, EC_JWK, OKP_JWK] = [KINDS[0]!.jwk, KINDS[3]!.jwk, KINDS[6]!.jwk]

/** The fault of a JWK, or `ok`. It is read from text, as a JWKS is: members that are `undefined` are gone. */
function faultOf (jwk: Jwk | string): string {
  try {
    importJwk(JSON.parse(typeof jwk === 'string' ? jwk : JSON.stringify(jwk)) as Jwk)
    return 'ok'
  } catch (error) {
    return error instanceof UnusableJwkError ? error.fault : String(error)
  }
}

for (const { name, jwk, algorithms } of KINDS) {
  t.test(`${name} is accepted`, async t => {
    const key = importJwk(jwk)
    t.equal(key.kid, 'k')
    t.equal(key.alg, null, 'without alg')
    t.strictSame(key.algorithms, algorithms, 'without alg, for the algorithms of its kind')
    t.match(key.pem, /^-----BEGIN PUBLIC KEY-----\n/)
    t.equal(key.publicKey.type, 'public')
    t.strictSame(exportJwk(key), jwk, 'as the key that it is')

    for (const alg of algorithms) {
      const named = importJwk({ ...jwk, alg })
      t.equal(named.alg, alg)
      t.strictSame(named.algorithms, [alg], `with alg ${alg}, for that alone`)
    }
    const members = {
      alg: algorithms[0],
      use: 'sig',
      key_ops: ['verify'],
      ext: true,
      x5c: ['AA'],
      x5u: 'https://evil.example',
      iat: 1
    }
    t.equal(faultOf({ ...jwk, ...members }), 'ok', 'with members that say nothing against it')
    t.equal(faultOf({ ...jwk, key_ops: ['sign', 'verify'] }), 'ok')
  })

  t.test(`${name} is refused`, async t => {
    const wrong = [
      ...ALGORITHMS.filter(alg => !algorithms.includes(alg)), 'none', 'HS256', 'ES256K', 'RSA-OAEP',
      'ECDH-ES', '', algorithms[0]!.toLowerCase(), 'constructor', '__proto__'
    ]
    for (const alg of wrong) t.equal(faultOf({ ...jwk, alg }), 'alg', `for alg ${alg}`)
    for (const alg of [null, 0, 1, true, false, [], [algorithms[0]], {}]) {
      t.equal(
        faultOf({ ...jwk, alg }), 'alg', `for alg ${JSON.stringify(alg)}`
      )
    }
    for (const use of ['enc', '', 'SIG', 'sig ', null, 0, true, [], ['sig'], {}]) {
      t.equal(
        faultOf({ ...jwk, use }), 'use', `for use ${JSON.stringify(use)}`
      )
    }
    for (const ops of [
      [], ['sign'], ['encrypt'], ['VERIFY'], [['verify']], 'verify', null, 0, true, {}, { 0: 'verify' }
    ]) {
      t.equal(faultOf({ ...jwk, key_ops: ops }), 'key_ops', `for key_ops ${JSON.stringify(ops)}`)
    }
    for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) {
      for (const value of ['AQAB', '', null, 0, []]) {
        t.equal(
          faultOf({ ...jwk, [member]: value }), 'private', `for ${member} of ${JSON.stringify(value)}`
        )
      }
    }
  })
}

t.test('a private key is refused for what it is, whatever else is wrong with it', async t => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  t.equal(faultOf({ ...privateKey.export({ format: 'jwk' }), use: 'enc', alg: 'none' }), 'private')
  t.equal(faultOf({ kty: 'oct', k: 'AAAA', alg: 'HS256' }), 'private', 'a symmetric key too')
})

t.test('kinds of key that are not known', async t => {
  for (const kty of [
    'oct', 'AKP', 'rsa', 'RSA ', ' RSA', 'EC P-256', 'OKP Ed25519', '', 'undefined', 'constructor', '__proto__',
    'toString', 'hasOwnProperty', null, 0, true, [], {}, ['RSA'], [['RSA']], ['OKP'], { toString: null, valueOf: null },
    [{ toString: null, valueOf: null }]
  ]) {
    for (const jwk of [RSA_JWK, EC_JWK, OKP_JWK]) {
      t.equal(
        faultOf({ ...jwk, kty }), 'kty', `${JSON.stringify(kty)} in the place of ${jwk.kty}`
      )
    }
  }
  t.equal(faultOf({ ...RSA_JWK, kty: undefined }), 'kty')
  t.equal(faultOf({}), 'kty')
})

t.test('curves that are not known', async t => {
  for (const crv of [
    'secp256k1', 'P-224', 'P-192', 'p-256', 'prime256v1', 'X25519', 'X448', 'ed25519', '', ' ', 'constructor',
    '__proto__', 'toString', null, 0, true, [], {}, [''], ['P-256'], ['Ed25519'], { toString: null, valueOf: null }
  ]) {
    for (const jwk of [RSA_JWK, EC_JWK, OKP_JWK]) {
      t.equal(faultOf({ ...jwk, crv }), 'kty', `${JSON.stringify(crv)} for ${jwk.kty}`)
    }
  }
  for (const jwk of [EC_JWK, OKP_JWK]) t.equal(faultOf({ ...jwk, crv: undefined }), 'kty', `none for ${jwk.kty}`)
  for (const [jwk, crv] of [
    [RSA_JWK, 'P-256'], [RSA_JWK, 'Ed25519'], [EC_JWK, 'Ed25519'], [OKP_JWK, 'P-256']
  ] as const) {
    t.equal(faultOf({ ...jwk, crv }), 'kty', `${crv} for ${jwk.kty}`)
  }
  t.equal(faultOf(ec('secp256k1')), 'kty', 'secp256k1 itself')
  t.equal(faultOf(exportJwk(generateKeyPairSync('x25519'))), 'kty', 'X25519 itself')
  t.equal(faultOf(exportJwk(generateKeyPairSync('x448'))), 'kty', 'X448 itself')
  t.doesNotThrow(
    () => importJwk({ ...RSA_JWK, crv: undefined }), 'undefined, as Better Auth has it for RSA, is no curve'
  )
})

t.test('key material in the wrong form', async t => {
  const members: Array<[jwk: Jwk, names: string[]]> = [
    [RSA_JWK, ['n', 'e']], [EC_JWK, ['x', 'y']], [OKP_JWK, ['x']], [KINDS[7]!.jwk, ['x']]
  ]
  for (const [jwk, names] of members) {
    for (const name of names) {
      const value = jwk[name] as string
      const what = `${name} of ${jwk.kty}`
      t.equal(faultOf({ ...jwk, [name]: undefined }), 'malformed', `${what} missing`)
      for (const wrong of [null, 0, 65537, true, [], [value], {}, { 0: value }]) {
        t.equal(
          faultOf({ ...jwk, [name]: wrong }), 'malformed', `${what}: ${JSON.stringify(wrong).slice(0, 20)}`
        )
      }
      for (const wrong of [
        '', '=', `${value}=`, `${value}==`, ` ${value}`, `${value}\n`, `+${value.slice(1)}`, `/${value.slice(1)}`,
        `é${value.slice(1)}`, `${value.slice(0, 4)}.${value.slice(5)}`
      ]) {
        t.equal(
          faultOf({ ...jwk, [name]: wrong }), 'malformed',
          `${what}: ${JSON.stringify(wrong.length > 24 ? `${wrong.slice(0, 6)}…${wrong.slice(-4)}` : wrong)}`
        )
      }
    }
  }
})

t.test('points that are too short or too long', async t => {
  for (const { jwk, name } of KINDS.slice(6)) {
    const point = Buffer.from(jwk.x as string, 'base64url')
    for (const wrong of [
      point.subarray(1), point.subarray(0, -1), Buffer.concat([point, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), point]), point.subarray(0, 1)
    ]) {
      t.equal(faultOf({ ...jwk, x: wrong.toString('base64url') }), 'malformed', `${name} of ${wrong.length} bytes`)
    }
    t.equal(faultOf({ ...jwk, x: 'A' }), 'malformed', `${name} of half a byte`)
  }
  t.equal(faultOf({ ...OKP_JWK, crv: 'Ed448' }), 'malformed', 'Ed25519 as Ed448')
  t.equal(faultOf({ ...KINDS[7]!.jwk, crv: 'Ed25519' }), 'malformed', 'Ed448 as Ed25519')
})

t.test('points that are not on their curve', async t => {
  for (const { jwk, name } of KINDS.slice(3, 6)) {
    t.equal(faultOf({ ...jwk, y: jwk.x }), 'malformed', `${name}, x twice`)
    t.equal(faultOf({ ...jwk, x: jwk.y, y: jwk.x }), 'malformed', `${name}, x and y exchanged`)
    t.equal(faultOf({ ...jwk, x: 'AA', y: 'AA' }), 'malformed', `${name}, zero`)
    t.equal(
      faultOf({ ...jwk, x: Buffer.alloc(66, 0xff).toString('base64url') }),
      'malformed',
      `${name}, larger than the field`
    )
  }
  t.equal(faultOf({ ...EC_JWK, crv: 'P-384' }), 'malformed', 'a point of P-256 on P-384')
  t.equal(faultOf({ ...KINDS[4]!.jwk, crv: 'P-256' }), 'malformed', 'a point of P-384 on P-256')
})

t.test('RSA keys that are weak', async t => {
  t.equal(faultOf(rsa(1024)), 'weak', '1024 bits')
  t.equal(faultOf(rsa(2040)), 'weak', '2040 bits')
  // One bit less, and zeros in front of it that make it look longer.
  const modulus = Buffer.from(RSA_JWK.n as string, 'base64url')
  const short = Buffer.from(modulus)
  short[0]! = 0x7f
  t.equal(faultOf({ ...RSA_JWK, n: short.toString('base64url') }), 'weak', '2047 bits')
  t.equal(
    faultOf({
      ...rsa(1024),
      n: Buffer.concat([
        Buffer.alloc(128), Buffer.from(rsa(1024).n as string, 'base64url')
      ]).toString('base64url')
    }),
    'weak', '1024 bits behind zeros'
  )
  t.equal(
    faultOf({ ...RSA_JWK, n: Buffer.concat([Buffer.alloc(3), modulus]).toString('base64url') }), 'ok',
    '2048 bits behind zeros are 2048 bits'
  )

  const exponents: Array<[e: string, what: string]> = [
    ['AA', '0'], ['AQ', '1'], ['AAAB', '1 behind zeros'], ['Ag', '2'], ['BA', '4'], ['AQAA', '65536']
  ]
  for (const [e, what] of exponents) t.equal(faultOf({ ...RSA_JWK, e }), 'weak', `exponent ${what}`)
  for (const [e, what] of [
    ['Aw', '3'], ['EQ', '17'], ['AAEAAQ', '65537 behind zeros']
  ]) t.equal(faultOf({ ...RSA_JWK, e }), 'ok', `exponent ${what}`)
})

/**
 * y of the points of small order (RFC 7748 §4.1 has the curve), and of p, p + 1 and p - 1, which are 0, 1 and -1
 * written otherwise.
 */
const SMALL_ORDER_ED25519 = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'
]
/** The same on Ed448 (RFC 8032 §5.2): 0, with which OpenSSL verifies what anyone has made, 1, -1, and p and p + 1. */
const SMALL_ORDER_ED448 = [
  '00'.repeat(57),
  `01${'00'.repeat(56)}`,
  `fe${'ff'.repeat(27)}fe${'ff'.repeat(27)}00`,
  `${'ff'.repeat(28)}fe${'ff'.repeat(27)}00`,
  `${'00'.repeat(28)}${'ff'.repeat(28)}00`
]

for (const [crv, points] of [['Ed25519', SMALL_ORDER_ED25519], ['Ed448', SMALL_ORDER_ED448]] as const) {
  t.test(`points of small order on ${crv}, whose signatures anyone can make`, async t => {
    for (const hex of points) {
      for (const signBit of [0, 0x80]) {
        const point = Buffer.from(hex, 'hex')
        point[point.length - 1]! |= signBit
        t.equal(faultOf({ kty: 'OKP', crv, x: point.toString('base64url') }), 'weak', point.toString('hex'))
        t.equal(
          faultOf({ kty: 'OKP', crv, alg: 'EdDSA', x: point.toString('base64url') }), 'weak',
          `${point.toString('hex')} with alg`
        )
      }
    }
  })
}

t.test('members that come from a prototype do not count', async t => {
  t.equal(faultOf(`{ "__proto__": ${JSON.stringify(OKP_JWK)} }`), 'kty')
  t.equal(
    faultOf(`{ "__proto__": { "d": "AA", "use": "enc" }, "constructor": 1, ${JSON.stringify(OKP_JWK).slice(1)}`), 'ok'
  )
  t.equal(importJwk({ ...OKP_JWK, kid: '__proto__' }).kid, '__proto__')
})

t.test('a JWK without a kid that a token could name is refused', async t => {
  for (const kid of [undefined, null, 0, 1, true, [], ['k'], {}]) {
    t.equal(faultOf({ ...OKP_JWK, kid }), 'kid_missing', JSON.stringify(kid))
  }
  for (const kid of ['', 'k'.repeat(513), '\ud800', 'a\udc00b']) {
    t.equal(faultOf({ ...OKP_JWK, kid }), 'kid_invalid', JSON.stringify(kid).slice(0, 20))
    t.equal(isKid(kid), false)
  }
  for (const kid of ['1', ' ', '../../etc/passwd', 'ключ', '🔑', '__proto__', '\0', 'k'.repeat(512)]) {
    t.equal(importJwk({ ...OKP_JWK, kid }).kid, kid, JSON.stringify(kid).slice(0, 20))
    t.equal(isKid(kid), true)
  }
  t.equal(faultOf({ ...OKP_JWK, kid: undefined, use: 'enc' }), 'use', 'what else is wrong with it is said first')
})

t.test('the error says the fault, and nothing of the key', async t => {
  try {
    importJwk({ ...OKP_JWK, d: 'c2VjcmV0' })
    t.fail('accepted')
  } catch (error) {
    t.ok(error instanceof UnusableJwkError)
    t.match(error, { name: 'UnusableJwkError', fault: 'private', message: 'The JWK is not usable: private' })
    t.notMatch(String((error as Error).stack), 'c2VjcmV0')
  }
})

t.test('keys are the same', async t => {
  const jwk = RSA_JWK
  const key = importJwk(jwk)
  t.ok(isSameKey(key, importJwk({ ...jwk })), 'with the same material')
  t.ok(
    isSameKey(key, importJwk({ ...jwk, use: 'sig', key_ops: ['verify'], x5c: ['AA'] })),
    'whatever else is said of them'
  )
  t.notOk(isSameKey(key, importJwk(rsa(2048))), 'and not with other material')
  t.notOk(isSameKey(key, importJwk({ ...jwk, alg: 'RS256' })), 'nor for fewer algorithms')
  t.notOk(
    isSameKey(importJwk({ ...jwk, alg: 'PS256' }), importJwk({ ...jwk, alg: 'RS256' })), 'nor for others'
  )
  const [one, other] = [ed25519(), ed25519()]
  t.notOk(isSameKey(importJwk(one), importJwk(other)))
  t.notOk(isSameKey(importJwk(one), importJwk(ec('P-256'))))
  t.ok(
    isSameKey(importJwk(one), importJwk({ ...one, alg: 'EdDSA' })),
    'where alg says what the kind says already'
  )
})

t.test('a member that is too long is refused before OpenSSL sees it', async t => {
  const long = (length: number) => 'A'.repeat(length - 1) + 'B'
  for (const [jwk, member] of [[RSA_JWK, 'n'], [EC_JWK, 'x'], [EC_JWK, 'y'], [OKP_JWK, 'x']] as const) {
    for (const length of [2733, 200_000]) {
      t.equal(faultOf({ ...jwk, [member]: long(length) }), 'malformed', `${String(jwk.kty)} ${member} of ${length}`)
    }
  }
  t.equal(faultOf({ ...RSA_JWK, e: long(200_000) }), 'malformed')
  t.equal(faultOf({ ...RSA_JWK, n: Buffer.alloc(512, 0xff).toString('base64url') }), 'ok', '4096 bits')
})

t.test('an RSA exponent of more than four bytes is weak: each check with it would cost more', async t => {
  const exponent = (value: bigint) => {
    const hex = value.toString(16)
    return Buffer.from(hex.padStart(hex.length + hex.length % 2, '0'), 'hex').toString('base64url')
  }
  for (const value of [3n, 65_537n, 2n ** 32n - 1n]) {
    t.equal(faultOf({ ...RSA_JWK, e: exponent(value) }), 'ok', String(value))
  }
  for (const value of [2n ** 32n + 1n, 2n ** 64n + 1n, 2n ** 2047n + 1n]) {
    t.equal(faultOf({ ...RSA_JWK, e: exponent(value) }), 'weak', String(value))
  }
  t.equal(faultOf({ ...RSA_JWK, e: RSA_JWK.n }), 'weak', 'as long as n')
})

t.test('a modulus of 16,384 bits is accepted, also behind a zero byte', async t => {
  const n = Buffer.alloc(2049, 0xff)
  n[0] = 0
  t.equal(n.toString('base64url').length, 2732)
  t.equal(faultOf({ ...RSA_JWK, n: n.toString('base64url') }), 'ok')
})

t.test('alg may be the name of the Edwards curve (RFC 9864)', async t => {
  for (const { jwk } of KINDS.slice(6)) {
    const key = importJwk({ ...jwk, alg: jwk.crv })
    t.equal(key.alg, 'EdDSA')
    t.strictSame(key.algorithms, ['EdDSA'])
  }
})
