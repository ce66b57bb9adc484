import { deflateRawSync } from 'node:zlib'
import { createClaims, encode, signJws } from '../../fixtures/signing.js'
import { bearer, now, show, signInput, token, type Families } from './cases.js'

/** Tokens that need an extension, or that were issued for another purpose. */
export const headers: Families = {
  'critical headers' (world) {
    const { keys: { EdDSA: key }, origin } = world
    const values = [[], ['exp'], ['alg'], ['kid'], ['b64'], [''], [1], [null], ['https://example.com/ext'], 'exp', '',
      null, true, false, 0, 1, {}]
    return [
      ...values.map(crit => bearer(`crit ${show(crit)}`, token(world, {},
        { crit, exp: now() + 60, 'https://example.com/ext': 1 }), 'critical_header')),
      ...[false, true, null, 0].flatMap(b64 => [
        bearer(`b64 ${show(b64)}, in crit`, token(world, {}, { b64, crit: ['b64'] }), 'critical_header'),
        bearer(`b64 ${show(b64)}, not in crit`, token(world, {}, { b64 }), 'critical_header')
      ]),
      bearer('an unencoded payload',
        signInput(key, `${encode({ alg: key.alg, kid: key.kid, b64: false, crit: ['b64'] })}.{"sub":"u_1"}`),
        'critical_header'),
      bearer('crit given twice, the second one empty', signJws(key, createClaims(origin),
        `{"alg":"EdDSA","kid":"${key.kid}","crit":["x"],"crit":[]}`), 'critical_header')
    ]
  },

  'the typ of another kind of token' (world) {
    return [
      'better-auth.session-cache+jwt', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', 'id+jwt', 'id_token+jwt', 'kb+jwt',
      'sd-jwt', 'oauth-authz-req+jwt', 'token-introspection+jwt', 'JWS', 'JWE', 'JOSE', 'JOSE+JSON',
      'application/logout+jwt', 'application/application/jwt', 'application/', 'text/jwt', 'at-jwt', 'at jwt',
      'at+jwt;v=1', 'JWT ', ' JWT', 'JWT\0', 'JWTX', '',
      null, true, false, 0, 1, [], ['JWT'], {}, { typ: 'JWT' }
    ].map(typ => bearer(`typ ${show(typ)}`, token(world, {}, { typ }), 'typ_not_allowed'))
  },

  'access tokens of OAuth clients, which the option "resource" would accept' (world) {
    const refused = (name: string, claims: Record<string, unknown>, header = {}) =>
      bearer(name, token(world, claims, header), 'oauth_token_not_accepted')
    return [
      ...['at+jwt', 'AT+JWT', 'application/at+jwt'].map(typ => refused(`typ ${typ}`, {}, { typ })),
      refused('of version 1.7', { client_id: 'c', azp: 'c', scope: 'read' }, { typ: 'at+jwt' }),
      refused('of version 1.6', { azp: 'c', scope: 'read' }),
      ...['c', '', null, 0, [], {}].flatMap(value => [
        refused(`client_id ${show(value)}`, { client_id: value }), refused(`azp ${show(value)}`, { azp: value })
      ])
    ]
  },

  'other kinds of token, signed with the same keys' (world) {
    const { origin, keys: { EdDSA: key } } = world
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
    const session = { user: { id: 'u_1' }, session: { id: 's_1' }, sid: 's_1', aud: 'better-auth:session-cache' }
    const kind = (name: string, claim: string, claims: Record<string, unknown>, header = {}) =>
      bearer(name, token(world, claims, header), { reason: 'token_kind', claim })
    return [
      bearer('a session cookie', token(world, session, { typ: 'better-auth.session-cache+jwt' }), 'typ_not_allowed'),
      kind('a session cookie without its typ', 'aud', session),
      kind('a session cookie with typ at+jwt', 'aud', session, { typ: 'at+jwt' }),
      kind('a session cookie for this audience too', 'aud', { ...session, aud: [origin, 'better-auth:session-cache'] }),
      ...['nonce', 'at_hash', 'c_hash', 's_hash', 'auth_time', 'acr'].map(claim =>
        kind(`an ID token with ${claim}`, claim, { [claim]: 'x' })),
      kind('an ID token with a nonce that is null', 'nonce', { nonce: null }, { typ: 'JWT' }),
      bearer('a logout token', token(world, { events }, { typ: 'logout+jwt' }), 'typ_not_allowed'),
      kind('a logout token without its typ', 'events', { events }),
      kind('a logout token with typ at+jwt', 'events', { events }, { typ: 'at+jwt' }),
      ...[{ jkt: 'x' }, { 'x5t#S256': 'x' }, { jwk: {} }, {}, [], null, '', false, 0].map(cnf =>
        kind(`bound to a key, cnf ${show(cnf)}`, 'cnf', { cnf }, { typ: 'at+jwt' })),
      kind('bound to a key, without typ', 'cnf', { cnf: { jkt: 'x' } }),
      bearer('encrypted',
        [encode({ alg: 'RSA-OAEP', enc: 'A256GCM', kid: key.kid }), 'a2V5', 'aXY', 'dGV4dA', 'dGFn'].join('.'),
        'token_encrypted'),
      bearer('encrypted with alg dir, without a key',
        [encode({ alg: 'dir', enc: 'A256GCM' }), '', 'aXY', 'dGV4dA', 'dGFn'].join('.'), 'token_encrypted'),
      bearer('three segments, with enc in the header', token(world, {}, { enc: 'A256GCM' }), 'token_encrypted'),
      bearer('signed, with another token as payload', signJws(key, token(world), { cty: 'JWT' }), 'token_malformed'),
      bearer('compressed', signJws(key, deflateRawSync(JSON.stringify(createClaims(origin))), { zip: 'DEF' }),
        'token_malformed')
    ]
  }
}
