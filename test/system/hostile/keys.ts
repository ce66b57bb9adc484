import { JWKS_PATH } from '../../fixtures/jwks-server.js'
import { createClaims, signJws } from '../../fixtures/signing.js'
import { bearer, show, token, type Families } from './cases.js'

/** Tokens that name no key, an unknown key, or a key of their own. */
export const keys: Families = {
  'an invalid kid' (world) {
    const { kid } = world.keys.EdDSA
    return [
      ...[undefined, null, true, false, 0, 1, -1, 1.5, [], [kid], {}, { kid }, '', 'k'.repeat(513), 'k'.repeat(10_000),
        '\ud800', `${kid}\udc00`, '\ud800\ud800']
        .map(value => bearer(`kid ${show(value)}`, token(world, {}, { kid: value }), 'kid_invalid')),
      bearer('a number as kid of an RSA key', signJws(world.keys.RS256, createClaims(world.origin), { kid: 0 }),
        'kid_invalid')
    ]
  },

  'a kid that names no key' (world) {
    const { kid } = world.keys.EdDSA
    return [
      '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', 'undefined', 'null', '0', '*',
      '../../../../dev/null', '/etc/passwd', 'file:///dev/null', '%2e%2e%2f', '%',
      `${world.attackerOrigin}${JWKS_PATH}`, `//${new URL(world.attackerOrigin).host}/`, `?kid=${kid}`, `#${kid}`,
      "' OR '1'='1", '; cat /dev/null', '{{7*7}}', '\0', `${kid}\0`, `${kid}\n`,
      '\r\nSet-Cookie: a=b', ` ${kid}`, `${kid} `, kid.toUpperCase(), kid.slice(1), kid + kid, `${kid}\u200b`,
      '\u{1f511}', 'k'.repeat(512)
    ].map(value => bearer(`kid ${show(value)}`, token(world, {}, { kid: value }), 'unknown_key'))
  },

  'a key that the token itself supplies' (world) {
    const { attacker, attackerOrigin, keys: { EdDSA: key } } = world
    const spki = attacker.publicKey.export({ type: 'spki', format: 'der' })
    const jwks = attackerOrigin + JWKS_PATH
    const injections: Array<Record<string, unknown>> = [
      { jku: jwks }, { jwk: attacker.jwk }, { jwk: { ...attacker.jwk, kid: key.kid } },
      { x5u: `${attackerOrigin}/cert.pem` }, { x5c: [spki.toString('base64')] }, { jku: [jwks] },
      { jku: `${world.origin}@${new URL(attackerOrigin).host}${JWKS_PATH}` }, { iss: attackerOrigin },
      { 'x5t#S256': 'x', x5t: 'x' },
      { jku: jwks, jwk: attacker.jwk, x5u: `${attackerOrigin}/cert.pem`, x5c: [spki.toString('base64')], url: jwks }
    ]
    return [
      ...injections.flatMap(header => [
        bearer(`${Object.keys(header)} ${show(Object.values(header)[0])}, with the kid of a trusted key`,
          signJws(attacker, createClaims(world.origin), { ...header, kid: key.kid }), 'signature_invalid'),
        bearer(`${Object.keys(header)} ${show(Object.values(header)[0])}, with the kid of the attacker`,
          signJws(attacker, createClaims(world.origin), header), 'unknown_key'),
        bearer(`${Object.keys(header)} ${show(Object.values(header)[0])}, without kid`,
          signJws(attacker, createClaims(world.origin), { ...header, kid: undefined }), 'kid_invalid')
      ]),
      bearer('a token of the attacker’s issuer', signJws(attacker, createClaims(attackerOrigin)), 'unknown_key'),
      bearer('a token of the attacker’s issuer, for this audience',
        signJws(attacker, createClaims(attackerOrigin, { aud: world.origin })), 'unknown_key'),
      bearer('a token of the attacker’s issuer, with a trusted kid',
        signJws(attacker, createClaims(attackerOrigin), { kid: key.kid }), 'signature_invalid')
    ]
  }
}
