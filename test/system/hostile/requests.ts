import { createClaims, encode, signJws } from '../../fixtures/signing.js'
import { bearer, longToken, request, show, token, withSignature, type Families } from './cases.js'

/** Requests that carry too much, a variation of an accepted token, or no bearer token. */
export const requests: Families = {
  'tokens that are too long' (world) {
    const { keys: { EdDSA: key }, origin, attacker } = world
    const long = 'x'.repeat(75_000)
    const tooLong = (name: string, jws: string) => bearer(name, jws, 'token_too_long')
    return [
      tooLong('100 kB, one segment', 'a'.repeat(100_000)),
      tooLong('100 kB of dots', '.'.repeat(100_000)),
      tooLong('100 kB, otherwise valid', token(world, { long })),
      tooLong('100 kB, a header of unclosed arrays', signJws(key, createClaims(origin), '['.repeat(75_000))),
      tooLong('100 kB, a payload of unclosed arrays', signJws(key, '['.repeat(75_000))),
      tooLong('100 kB of kid', token(world, {}, { kid: long })),
      tooLong('100 kB of signature',
        withSignature(token(world), bytes => Buffer.concat([bytes, Buffer.alloc(75_000)]))),
      tooLong('100 kB, forged', signJws(attacker, createClaims(origin, { long }), { kid: key.kid })),
      tooLong('100 kB, alg none', signJws(attacker, createClaims(origin, { long }), { alg: 'none' })),
      tooLong('slightly longer than 16 kB, otherwise valid', longToken(world, length => length > 16_384)),
      bearer('16 kB of one segment', 'a'.repeat(16_384), 'token_malformed')
    ]
  },

  'variations of an accepted token' ({ accepted, origin, keys: { EdDSA: key } }) {
    const [header, payload, signature] = accepted.split('.') as [string, string, string]
    const otherPayload = encode(createClaims(origin, { sub: 'admin' }))
    return [
      bearer('another payload, the same signature', `${header}.${otherPayload}.${signature}`, 'signature_invalid'),
      bearer('another header, the same signature',
        `${encode({ alg: key.alg, kid: key.kid, typ: 'JWT' })}.${payload}.${signature}`, 'signature_invalid'),
      bearer('the same signature except for its first bit',
        withSignature(accepted, bytes => { bytes[0]! ^= 0x80; return bytes }), 'signature_invalid'),
      bearer('the same signature except for its last byte',
        withSignature(accepted, bytes => { bytes[63]! ^= 1; return bytes }), 'signature_invalid'),
      bearer('only the second half of the signature', withSignature(accepted, bytes => bytes.subarray(32)),
        'signature_invalid'),
      bearer('the same header, a payload that is not an object', `${header}.${encode('1')}.${signature}`,
        'signature_invalid'),
      bearer('alg none, the same signature', `${encode({ alg: 'none', kid: key.kid })}.${payload}.${signature}`,
        'algorithm_not_allowed'),
      bearer('with a padded header', `${header}=.${payload}.${signature}`, 'token_malformed'),
      bearer('with a padded payload', `${header}.${payload}=.${signature}`, 'token_malformed'),
      bearer('after an invalid character', `!${accepted}`, 'token_malformed'),
      bearer('after a dot', `.${accepted}`, 'token_malformed'),
      bearer('only the end of its signature', signature.slice(-32), 'token_malformed')
    ]
  },

  'no bearer token' (world) {
    const jws = token(world)
    const values: string[] = [
      '', '   ', '\t', jws, `Basic ${Buffer.from('ada:secret').toString('base64')}`, `Basic ${jws}`,
      `Basic x, Bearer ${jws}`, 'Basic', `DPoP ${jws}`, `Token ${jws}`, `JWT ${jws}`,
      `Digest username="ada", response="${jws}"`, `Negotiate ${jws}`, `ApiKey ${jws}`, `Bearer: ${jws}`,
      `Bearer=${jws}`, `Bearer${jws}`, `Bearer,${jws}`,
      `"Bearer ${jws}"`, `'Bearer' ${jws}`, `Bearer/1 ${jws}`, `Bearers ${jws}`, `Beare ${jws}`, `B earer ${jws}`,
      `Bearer;${jws}`, `, Bearer ${jws}`, `Authorization: Bearer ${jws}`, `access_token=${jws}`, `B\u00e9arer ${jws}`,
      `\u00a0Bearer ${jws}`, `Bearer\u00a0${jws}`, 'null', 'undefined', '[object Object]', '{"bearer":1}'
    ]
    return [
      request('no header', [], 'token_missing'),
      ...values.map(value => request(`Authorization: ${show(value.replaceAll(jws, '<token>'))}`,
        [`Authorization: ${value}`], 'token_missing')),
      ...['Proxy-Authorization', 'X-Authorization', 'Authorization2', 'X-Forwarded-Authorization', 'X-Access-Token']
        .map(name => request(`a token in ${name}`, [`${name}: Bearer ${jws}`], 'token_missing')),
      request('a token in a cookie',
        [`Cookie: Authorization=Bearer ${jws}; access_token=${jws}; better-auth.session_token=${jws}`], 'token_missing')
    ]
  },

  'a malformed Authorization header' (world) {
    const jws = token(world)
    const values: string[] = [
      'Bearer', 'bearer', 'BEARER', 'Bearer ', 'Bearer    ', 'Bearer\t', `Bearer ${jws} ${jws}`, `Bearer ${jws} x`,
      `Bearer x ${jws}`, `Bearer Bearer ${jws}`, `Bearer Basic ${jws}`, `Bearer ${jws}, Bearer ${jws}`,
      `Bearer ${jws}, Basic eDp5`, `Bearer ${jws} ,`, `Bearer , ${jws}`, `Bearer token = ${jws}`, `Bearer " ${jws} "`,
      `Bearer realm="x", token="${jws}"`, `Bearer : ${jws}`, `Bearer ${jws.replaceAll('.', ' . ')}`,
      `Bearer ${jws.replaceAll('.', ' ')}`, `Bearer ${jws}\tx`, `Bearer\t${jws}`, `Bearer \t ${jws}`, `Bearer \t${jws}`,
      'Bearer [object Object]'
    ]
    const two: string[][] = [
      [`Authorization: Bearer ${jws}`, `Authorization: Bearer ${jws}`],
      [`Authorization: Bearer ${jws}`, `authorization: Bearer ${token(world, { sub: 'u_2' })}`],
      [`Authorization: Bearer ${jws}`, 'Authorization:'],
      ['Authorization:', `Authorization: Bearer ${jws}`],
      [`Authorization: Bearer ${jws}`, 'AUTHORIZATION: Basic eDp5'],
      ['Authorization: Basic eDp5', `Authorization: Bearer ${jws}`], ['Authorization:', 'Authorization:'],
      [`Authorization: Bearer ${jws}`, 'X-Between: x', 'authorization: x', 'aUTHORIZATION: y']
    ]
    return [
      ...values.map(value => request(`Authorization: ${show(value.replaceAll(jws, '<token>'))}`,
        [`Authorization: ${value}`], 'authorization_malformed')),
      ...two.map(lines => request(lines.map(line => line.replaceAll(jws, '<token>').slice(0, 40)).join(' | '), lines,
        'authorization_malformed'))
    ]
  }
}
