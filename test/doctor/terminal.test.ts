import t from 'tap'
import { duration, printable, toSafeJson, wrap } from '../../lib/doctor/terminal.js'
import { inTurn, sendKeys } from '../fixtures/jwks-server.js'
import { createClaims, createSigningKey, signJws } from '../fixtures/signing.js'
import { good, runDoctor, startServer } from '../fixtures/doctor.js'

t.test('what comes from outside cannot write to the terminal', async t => {
  const evil = '\u001b[2J\u009b31m\u202eevil\n\u0007é😀\ud800'
  const key = createSigningKey('EdDSA', 'k\u001b[2J\u009b31m\u202e😀')
  const server = await startServer(t)
  const strange = { ...good.jwk, kid: evil, alg: evil, kty: evil, crv: evil }
  server.respond = inTurn(sendKeys([key.jwk, strange, { ...good.jwk, kid: 'x'.repeat(300) }]))
  const text = 'x'.repeat(500)
  const claims = createClaims(server.origin, {
    iss: evil, aud: [evil], [evil]: evil, role: evil, scope: text, exp: -1e300
  })
  for (const header of [{ [evil]: evil, typ: evil }, {}, { alg: evil }]) {
    const token = signJws(key, claims, header)
    const { report, text } = await runDoctor(server.origin, token)
    t.match(text, /^[\x20-\x7E\n]+$/)
    t.match(text, '\\u{1b}[2J')
    t.ok(text.split('\n').every(line => line.length < 200))
    t.equal(report.keys[1]!.kid, evil, 'in JSON it is what it was')
  }
  const hundred = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`claim${i}`, i]))
  t.match((await runDoctor(server.origin, signJws(key, createClaims(server.origin, hundred)))).text, /and 50 more/)
})

t.test('text is cut, and JSON parses to what it was', async t => {
  t.equal(printable('x'.repeat(76)), 'x'.repeat(76))
  t.equal(printable('x'.repeat(77)), `${'x'.repeat(76)}...`)
  t.equal(toSafeJson('\u0007é\u202e😀'), '"\\u0007\\u00e9\\u202e\\ud83d\\ude00"')
})

t.test('a length of time and a long line, for a person', async t => {
  const lengths = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(duration)
  t.strictSame(lengths, ['0 s', '119 s', '2 min', '119 min', '2 h', '47 h', '2 days'])
  t.equal(wrap('x'.repeat(120), '  '), `  ${'x'.repeat(120)}`)
  t.equal(wrap(`${'x'.repeat(47)} ${'y'.repeat(47)}`, ' '), ` ${'x'.repeat(47)} ${'y'.repeat(47)}`, '96 columns')
  t.equal(wrap(`${'x'.repeat(47)} ${'y'.repeat(48)}`, ' '), ` ${'x'.repeat(47)}\n ${'y'.repeat(48)}`)
  t.equal(wrap(`${'x'.repeat(60)} ${'y'.repeat(60)}`, ' '), ` ${'x'.repeat(60)}\n ${'y'.repeat(60)}`)
})
