import t from 'tap'
import { accepts, ISSUER, LOGOUT, OAUTH_CLAIMS, OAUTH_RULES, reason, UNCHECKED } from '../fixtures/claims.js'

t.test('refuses tokens of another kind, also where neither issuer nor audience is checked', async t => {
  const kinds: Array<[what: string, claims: Record<string, unknown>, claim: string]> = [
    ['bound to a DPoP key', { cnf: { jkt: 'x' } }, 'cnf'],
    ['bound to a certificate', { cnf: { 'x5t#S256': 'x' } }, 'cnf'],
    ['bound to nothing that can be read', { cnf: null }, 'cnf'],
    ['logout token', { events: { [LOGOUT]: {} } }, 'events'],
    ['logout token with more events', { events: { x: {}, [LOGOUT]: null } }, 'events'],
    ['session cookie', { aud: 'better-auth:session-cache' }, 'aud'],
    ['session cookie for others too', { aud: [ISSUER, 'better-auth:session-cache'] }, 'aud']
  ]
  for (const [what, claims, claim] of kinds) {
    for (const typ of [undefined, 'jwt', 'at+jwt']) {
      t.equal(await reason({ claims, typ }), `token_kind ${claim}`, `${what}, typ ${typ}`)
      t.equal(
        await reason({ claims, typ, rules: UNCHECKED }), `token_kind ${claim}`, `${what}, typ ${typ}, nothing checked`
      )
    }
  }
  t.equal(
    await reason({ claims: { aud: 'better-auth:session-cache' }, rules: { audience: ['better-auth:session-cache'] } }),
    'token_kind aud', 'session cookie, even where it is the audience'
  )
})

t.test('refuses ID tokens, which it recognises by their claims', async t => {
  for (const claim of ['nonce', 'at_hash', 'c_hash', 's_hash', 'auth_time', 'acr']) {
    for (const value of ['x', '', 0, null]) {
      const claims = { [claim]: value }
      t.equal(await reason({ claims }), `token_kind ${claim}`, `${claim}: ${JSON.stringify(value)}`)
      t.equal(
        await reason({ claims, typ: 'jwt', rules: UNCHECKED }), `token_kind ${claim}`,
        `${claim}: ${JSON.stringify(value)}, typ JWT`
      )
      accepts(
        t, { claims: { ...OAUTH_CLAIMS, ...claims }, typ: 'at+jwt', rules: OAUTH_RULES },
        `${claim}: ${JSON.stringify(value)} may be in an access token that says so`
      )
    }
  }
})

t.test('accepts events that are no logout', async t => {
  for (const events of [
    null, 'x', 1, [], [LOGOUT], {}, { 'https://example.com/event': {} },
    JSON.parse(`{ "__proto__": { "${LOGOUT}": {} } }`)
  ]) {
    accepts(t, { claims: { events } }, JSON.stringify(events))
  }
})
