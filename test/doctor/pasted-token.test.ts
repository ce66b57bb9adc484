import t from 'tap'
import { findToken, openToken } from '../../lib/doctor/pasted-token.js'
import { encode } from '../fixtures/signing.js'

const TOKEN = 'aaa.bbb.ccc'
const SPACE = 'white space around it was removed'
const JSON_NOTE = 'it was taken out of JSON'
const BEARER = '"Bearer" in front of it was removed'
const COOKIE = 'it was taken out of a cookie'

t.test('a token is found in whatever people paste', async t => {
  const pasted: Array<[text: string, ...notes: string[]]> = [
    [TOKEN],
    [`${TOKEN}\n`],
    [`${TOKEN}\r\n`],
    [` ${TOKEN}\t`, SPACE],
    [`${TOKEN}\n\n`, SPACE],
    [`Bearer ${TOKEN}`, BEARER],
    [`authorization: bearer  ${TOKEN}`, BEARER],
    [`Authorization:Bearer ${TOKEN}`, BEARER],
    [`"${TOKEN}"`, JSON_NOTE],
    [`{ "token": "${TOKEN}" }`, JSON_NOTE],
    [`"Bearer ${TOKEN}"`, JSON_NOTE, BEARER],
    [` better-auth.session_data=${TOKEN}; Path=/`, SPACE, COOKIE],
    [`__Secure-better-auth.session_data=${TOKEN}`, COOKIE],
    [`better-auth.session_token=${TOKEN}; Path=/`, COOKIE],
    [`Cookie: theme=dark; __Host-session_token=${TOKEN}; lang=en`, COOKIE]
  ]
  for (const [text, ...notes] of pasted) {
    const cookieName = /[\w.-]*session_token/.exec(text)?.[0]
    t.strictSame(findToken(text), { token: TOKEN, notes, cookieName }, text)
  }
})

t.test('anything else is looked at as it is', async t => {
  for (const text of [
    '', 'opaque', 'null', '5', '{}', '{"token":5}', '{"token', 'Bearer', `Basic ${TOKEN}`, `x bearer ${TOKEN}`, 'a\nb'
  ]) {
    t.strictSame(findToken(text), { token: text, notes: [], cookieName: undefined }, text)
  }
})

t.test('a token is decoded as far as possible', async t => {
  const header = { alg: 'none' }
  const payload = { sub: 'u_1' }
  const head = encode(header)
  t.strictSame(openToken(`${head}.${encode(payload)}.AA`), { segments: 3, header, payload, isBase64url: true })
  t.strictSame(openToken(`${head}.e30`), { segments: 2, header, payload: {}, isBase64url: true })
  t.strictSame(openToken(`${head}.${encode('[]')}.AA`), {
    segments: 3, header, payload: undefined, isBase64url: true
  }, 'an array is no payload')
  t.strictSame(openToken(''), { segments: 1, header: undefined, payload: undefined, isBase64url: false })
  for (const signature of ['', 'A', 'AB', 'AA==', 'A+', 'A/']) {
    t.equal(openToken(`e30.e30.${signature}`).isBase64url, false, `signature ${JSON.stringify(signature)}`)
  }
})
