import fc from 'fast-check'
import { createContent } from '../../fixtures/session-cookie.js'
import { signHmac } from '../../fixtures/signing.js'

/** What HTTP permits in a header's value: one byte for each character, without control characters. */
const anyCharacter = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0x20, max: 0x7E }) },
  fc.integer({ min: 0x80, max: 0xFF }),
  fc.constant(9)
).map(code => String.fromCharCode(code))
const anyText = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: anyCharacter, maxLength })

const scheme = fc.constantFrom(
  'Bearer ', 'bearer ', 'BEARER  ', 'Bearer', 'Bearer\t', 'Basic ', 'DPoP ', 'Bearer Bearer ', ''
)

export const anyAuthorization = (tokens: fc.Arbitrary<string>): fc.Arbitrary<string[]> => fc.oneof(
  { weight: 5, arbitrary: fc.tuple(scheme, tokens).map(([name, token]) => [`Authorization: ${name}${latin1(token)}`]) },
  anyText(50).map(text => [`Authorization: ${text}`]),
  fc.tuple(tokens, tokens).map(both => both.map(token => `Authorization: Bearer ${latin1(token)}`)),
  fc.constant<string[]>([])
)

const COOKIE = 'better-auth.session_data'

/** A session cookie that is almost right, or not. */
const anyContent = (secret: string): fc.Arbitrary<string> => fc.record({
  user: fc.dictionary(fc.constantFrom('id', 'email', 'name', 'role', 'banned', 'image', '__proto__'), fc.jsonValue(),
    { maxKeys: 2 }),
  session: fc.oneof(
    { weight: 4, arbitrary: fc.constant({}) },
    fc.dictionary(fc.constantFrom('userId', 'token', 'expiresAt', 'id'), fc.jsonValue(), { maxKeys: 1 }),
    fc.constantFrom({ userId: 'another' }, { expiresAt: '2020-01-01T00:00:00.000Z' })
  ),
  top: fc.dictionary(fc.constantFrom('user', 'session', 'exp', 'version', 'iat'), fc.jsonValue(), { maxKeys: 1 }),
  key: fc.oneof({ weight: 3, arbitrary: fc.constant(secret) }, fc.constant(secret + 'x'))
}).map(({ user, session, top, key }) => signHmac(key, { ...createContent(user, session), ...top }))

const anyName = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(COOKIE, `__Secure-${COOKIE}`) },
  fc.constantFrom(`${COOKIE}.0`, `${COOKIE}.1`, `${COOKIE}.01`, `${COOKIE}.x`, 'better-auth.session_token', 'other')
)

/** The cookies of a request, and the line that they make. */
export const anyCookies = (secret: string): fc.Arbitrary<{ values: string[], lines: string[] }> => fc.array(
  fc.tuple(anyName, fc.oneof({ weight: 3, arbitrary: anyContent(secret) }, anyText(40))), { maxLength: 3 }
).map(cookies => ({
  values: cookies.map(([, value]) => value),
  lines: cookies.length === 0
    ? []
    : [`Cookie: ${cookies.map(([name, value]) => `${name}=${latin1(value)}`).join('; ')}`]
}))

/** As it can be written into a header. */
function latin1 (text: string): string {
  return text.replace(/[^\t\x20-\x7E\x80-\xFF]/g, '?')
}
