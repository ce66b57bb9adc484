import { createHmac } from 'node:crypto'
import t from 'tap'
import { isApiKey, isOpaque, isSessionToken, readSignedToken } from '../../lib/schemes/opaque-credentials.js'

const SECRET = 'a secret of the auth server, long enough'
const TOKEN = 'oGkq6cGJVxZ3bC4mN1pR8tW5yA2dF7hL'

const sign = (token: string, secret = SECRET) => createHmac('sha256', secret).update(token).digest('base64')

/** A token whose signature has the characters that are percent-encoded in a cookie. */
function findSigned (): { token: string, signature: string } {
  for (let i = 0; ; i++) {
    const token = `${TOKEN}${i}`
    const signature = sign(token)
    if (signature.includes('+') && signature.includes('/')) return { token, signature }
  }
}
const { token: token2, signature } = findSigned()

t.test('a bearer credential with fewer than three parts is opaque', async t => {
  for (const text of ['', 'a', 'a.b', '.', 'a.', '.b', TOKEN, `${TOKEN}.${sign(TOKEN)}`]) t.ok(isOpaque(text), text)
  for (const text of ['..', 'a.b.c', 'a..c', 'a.b.c.d.e', '...', 'a.b.']) t.notOk(isOpaque(text), text)
})

t.test('a session token has 16 to 128 characters, and maybe a signature', async t => {
  const encoded = encodeURIComponent(signature)
  for (const text of [
    'a'.repeat(16), 'a'.repeat(128), 'aZ09_-aZ09_-aZ09', TOKEN, `${TOKEN}.${sign(TOKEN)}`, `${token2}.${signature}`,
    `${token2}.${encoded}`, `${TOKEN}.${'A'.repeat(43)}=`,
    `${TOKEN}.${'A'.repeat(43)}%3d`, `${TOKEN}.${'%2b'.repeat(43)}=`
  ]) t.ok(isSessionToken(text), text)
  for (const text of [
    '', 'a'.repeat(15), 'a'.repeat(129), 'a'.repeat(100_000), `${TOKEN}.`, `.${sign(TOKEN)}`,
    `${TOKEN}.${'A'.repeat(42)}=`, `${TOKEN}.${'A'.repeat(43)}`, `${TOKEN}.${'A'.repeat(44)}=`,
    `${TOKEN}.${'A'.repeat(43)}==`, `${TOKEN}.${'A'.repeat(42)}-=`, `${TOKEN} `, ` ${TOKEN}`, `${TOKEN}\n`,
    `${TOKEN}\r\nx: y`, `${TOKEN}é`, `${TOKEN}\u0000`, `${TOKEN}%00`, `${TOKEN}=`, `${TOKEN}+`, `"${TOKEN}"`,
    `${TOKEN}%2E${sign(TOKEN)}`, `${TOKEN}.${'%2B'.repeat(42)}%2D=`, `${TOKEN}.${'%252B'.repeat(43)}=`
  ]) t.notOk(isSessionToken(text), JSON.stringify(text.slice(0, 60)))
})

t.test('an API key has 16 to 512 characters', async t => {
  for (const text of ['a'.repeat(16), 'a'.repeat(512), 'pk_aZ09_.~+/=:-aZ']) t.ok(isApiKey(text), text)
  for (const text of [
    '', 'a'.repeat(15), 'a'.repeat(513), 'a'.repeat(100_000), `${TOKEN} `, `${TOKEN}, ${TOKEN}`, `${TOKEN},`,
    `${TOKEN};`, `${TOKEN}\n`, `${TOKEN}\r\nx: y`, `${TOKEN}é`, `${TOKEN}\u0000`, `${TOKEN}%`, `"${TOKEN}"`,
    `<${TOKEN}>`, `{${TOKEN}}`
  ]) t.notOk(isApiKey(text), JSON.stringify(text.slice(0, 60)))
})

t.test('a signed token is read in one spelling', async t => {
  const encoded = `${token2}.${encodeURIComponent(signature)}`
  for (const secret of [undefined, SECRET]) {
    t.equal(readSignedToken(encoded, secret), encoded)
    t.equal(readSignedToken(`${token2}.${signature}`, secret), encoded, 'plain')
    t.equal(readSignedToken(encoded.replace(/%../g, code => code.toLowerCase()), secret), encoded, 'in lower case')
  }
})

t.test('without a signature it is none', async t => {
  for (const text of [TOKEN, '', `${TOKEN}.`, `${TOKEN}.x`, 'a.b.c', '%']) {
    for (const secret of [undefined, SECRET]) t.equal(readSignedToken(text, secret), undefined, text)
  }
})

t.test('with the secret, only its own signature counts', async t => {
  const otherSecret = 'another secret of another auth server'
  const other = sign(TOKEN, otherSecret)
  const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)
  for (const text of [
    `${TOKEN}.${other}`, `${TOKEN}.${sign(token2)}`, `${token2}.${flipped}`, `${token2}x.${signature}`,
    `${token2.slice(1)}.${signature}`, `${TOKEN}.${'A'.repeat(43)}=`, `${TOKEN.toLowerCase()}.${sign(TOKEN)}`
  ]) {
    t.equal(readSignedToken(text, SECRET), undefined, text)
    t.ok(readSignedToken(text, undefined), 'without it, the auth server decides')
  }
  t.equal(readSignedToken(`${TOKEN}.${other}`, otherSecret), `${TOKEN}.${encodeURIComponent(other)}`)
})
