import { JWKS_PATH } from '../../fixtures/jwks-server.js'
import { createClaims, signJws } from '../../fixtures/signing.js'
import { longToken, now, show, spaced, token, tokenWith } from './cases.js'
import { keysOf, nameOf, type World } from './world.js'

export type Control = [name: string, lines: string[], id: string]

/** Valid requests, which get 200: without them the refusals would prove nothing. */
export function controls (world: World): Control[] {
  const { keys: { EdDSA: key }, origin, rsaWithoutAlg, attacker, attackerOrigin } = world
  const valid = (name: string, jws: string, id = 'u_1'): Control => [name, [`Authorization: Bearer ${jws}`], id]
  const header = (parameters: Record<string, unknown>) =>
    valid(`header ${show(parameters)}`, token(world, {}, parameters))
  const claims = (changed: Record<string, unknown>, id?: string) =>
    valid(`claims ${show(changed)}`, token(world, changed), id)
  const jws = token(world)
  return [
    valid('the token that hostile ones will resemble', world.accepted),
    valid('16 kB', longToken(world, length => length > 16_380)),
    ...keysOf(world).map(one => valid(nameOf(world, one), signJws(one, createClaims(origin)))),
    ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const).map(alg =>
      valid(`RSA without alg, used for ${alg}`, signJws({ ...rsaWithoutAlg, alg }, createClaims(origin)))),
    ...['JWT', 'jwt', 'application/jwt', 'application/JWT'].map(typ => header({ typ })),
    header({ jku: attackerOrigin + JWKS_PATH, jwk: attacker.jwk, x5u: `${attackerOrigin}/cert.pem`, x5c: ['x'] }),
    header({ extension: [1] }),
    claims({ email: null, name: null, image: null, emailVerified: null, email_verified: null }),
    claims({ sub: undefined, id: 'u_2' }, 'u_2'),
    claims({ id: undefined, sub: 'u_3' }, 'u_3'),
    claims({ id: 'row', sub: 'u_4' }, 'u_4'),
    claims({ aud: [origin] }),
    claims({ aud: ['https://other.example.com', origin] }),
    claims({ iat: undefined, nbf: now() - 60, jti: 'x' }),
    claims({ exp: now() - 1 }),
    valid('a repeated claim', signJws(key, JSON.stringify(createClaims(origin)).replace(/}$/, ',"sub":"u_5"}')), 'u_5'),
    valid('spaces after the JSON', signJws(key, spaced(JSON.stringify(createClaims(origin)), 1),
      spaced(JSON.stringify({ alg: 'EdDSA', kid: key.kid }), 1))),
    valid('a signature that contains - or _', tokenWith(world, signature => /[-_]/.test(signature))),
    ['bearer in lower case', [`Authorization: bearer ${jws}`], 'u_1'],
    ['BEARER in upper case', [`authorization: BEARER ${jws}`], 'u_1'],
    ['two spaces', [`Authorization: Bearer  ${jws}`], 'u_1'],
    ['spaces around the value', [`Authorization:   Bearer ${jws}  `], 'u_1'],
    ['no space after the colon', [`Authorization:Bearer ${jws}`], 'u_1']
  ]
}
