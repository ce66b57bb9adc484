import { createClaims, encode, signJws } from '../../fixtures/signing.js'
import { bearer, request, show, signInput, spaced, token, tokenWith, type Families } from './cases.js'

/** Tokens that are not written as a JWS: base64url, segments, JSON. */
export const encodings: Families = {
  'invalid or ambiguous base64url' (world) {
    const key = world.keys.EdDSA
    const jws = tokenWith(world, signature => /[-_]/.test(signature))
    const [header, payload, signature] = jws.split('.') as [string, string, string]
    const headerText = JSON.stringify({ alg: key.alg, kid: key.kid })
    const payloadText = JSON.stringify(createClaims(world.origin))
    const malformed = (name: string, changed: string) => bearer(name, changed, 'token_malformed')
    const special = encode(createClaims(world.origin, { name: '\u00bf\u00ff?~\u00fe>>>' }))
    return [
      malformed('signature with padding', `${jws}==`),
      malformed('signature with one =', `${jws}=`),
      malformed('signature with + and /', `${header}.${payload}.${standard(signature)}`),
      malformed('signature with + and / and padding', `${header}.${payload}.${standard(signature)}==`),
      malformed('signature with stray trailing bits', `${header}.${payload}.${spareBits(signature)}`),
      malformed('signature with an incomplete last group', `${jws}AAA`),
      malformed('signature without its last character', jws.slice(0, -1)),
      ...['!', '~', '*', '%', ',', ';', ':', '|', '"', "'", '\\', '\u00e9', '\u00ff', '=', '%2E', '$', '@', '#']
        .map(foreign => malformed(`signature with ${show(foreign)} in it`,
          `${header}.${payload}.${signature.slice(0, 40)}${foreign}${signature.slice(40)}`)),
      malformed('signature that ends with an invalid character', `${jws}!`),
      malformed('signature that starts with an invalid character', `${header}.${payload}.!${signature}`),
      malformed('signature in hex', `${header}.${payload}.${Buffer.from(signature, 'base64url').toString('hex')}f`),
      malformed('signed payload with padding', signInput(key, `${header}.${encode(spaced(payloadText, 2))}=`)),
      malformed('signed payload with + and /', signInput(key, `${header}.${standard(special)}`)),
      malformed('signed payload with stray trailing bits',
        signInput(key, `${header}.${spareBits(encode(spaced(payloadText, 1)))}`)),
      malformed('signed payload with an invalid character', signInput(key, `${header}.${payload}!`)),
      malformed('signed payload that starts with an invalid character', signInput(key, `${header}.\u00e9${payload}`)),
      malformed('signed payload with an incomplete last group',
        signInput(key, `${header}.${encode(spaced(payloadText, 0))}A`)),
      malformed('signed header with padding', signInput(key, `${encode(spaced(headerText, 2))}=.${payload}`)),
      malformed('signed header with stray trailing bits',
        signInput(key, `${spareBits(encode(spaced(headerText, 1)))}.${payload}`)),
      malformed('signed header with an invalid character', signInput(key, `${header}!.${payload}`)),
      malformed('all three with padding', jws.split('.').map(segment => `${segment}=`).join('.'))
    ]
  },

  'the wrong number or order of segments' (world) {
    const jws = token(world)
    const [header, payload, signature] = jws.split('.') as [string, string, string]
    const malformed: Record<string, string> = {
      'one segment': header,
      'one character': 'x',
      'one dot': '.',
      'two dots': '..',
      'three dots': '...',
      'five dots': '.....',
      'ten thousand dots': '.'.repeat(10_000),
      'two segments': `${header}.${payload}`,
      'two segments after a dot': `.${header}.${payload}`,
      'four segments': `${jws}.${signature}`,
      'four segments, the last empty': `${jws}.`,
      'four segments, the first empty': `.${jws}`,
      'six segments': `${jws}.${jws}`,
      'seven segments': `${jws}.${jws}.${signature}`,
      'an empty header': `.${payload}.${signature}`,
      'an empty payload': `${header}..${signature}`,
      'an empty payload with a valid signature': signInput(world.keys.EdDSA, `${header}.`),
      'an empty header with a valid signature': signInput(world.keys.EdDSA, `.${payload}`),
      'the word null': 'null',
      'the word undefined': 'undefined',
      'an opaque token': 'k'.repeat(32),
      'a UUID': '00000000-0000-4000-8000-000000000000',
      'a token in quotes': `"${jws}"`,
      'a token in brackets': `<${jws}>`,
      'a token with a comma': `${jws},`,
      'a token as a parameter': `token="${jws}"`,
      'a PASETO': 'v4.public.eyJzdWIiOiJ1XzEifQ',
      'a data URL': `data:application/jwt,${jws}`
    }
    return [
      ...Object.entries(malformed).map(([name, text]) => bearer(name, text, 'token_malformed')),
      request('a no-break space after the token', [`Authorization: Bearer ${jws}\u00a0`], 'token_malformed'),
      request('a no-break space after the token, bearer in lower case', [`Authorization: bearer ${jws}\u00a0`],
        'token_malformed'),
      bearer('payload before header', `${payload}.${header}.${signature}`, 'algorithm_not_allowed'),
      bearer('four dots', '....', 'token_encrypted'),
      bearer('five segments that start with a token', `${jws}.${payload}.${signature}`, 'token_encrypted'),
      bearer('five segments, the last empty', `${jws}..`, 'token_encrypted'),
      bearer('two tokens with a comma', `${jws},${jws}`, 'token_encrypted')
    ]
  },

  'a header that is not a JSON object' (world) {
    const { keys: { EdDSA: key }, origin } = world
    const valid = JSON.stringify({ alg: key.alg, kid: key.kid })
    const headers: Record<string, unknown> = {
      'a string': '"EdDSA"',
      'a number': '1',
      null: 'null',
      true: 'true',
      'an array': '[]',
      'an array that holds the header': `[${valid}]`,
      'not JSON': 'EdDSA',
      'a truncated object': valid.slice(0, -1),
      'two objects': valid + valid,
      'trailing text': `${valid}x`,
      'a trailing comma': valid.replace('}', ',}'),
      'a comment': `/**/${valid}`,
      'single quotes': valid.replaceAll('"', "'"),
      'a byte order mark': `\ufeff${valid}`,
      'a trailing NUL': `${valid}\0`,
      'invalid UTF-8': Buffer.from(valid.replace('}', ',"x":"\u00ff"}'), 'latin1'),
      'overlong UTF-8': Buffer.concat([Buffer.from(valid.slice(0, -1)), Buffer.from(',"x":"\xc0\xaf"}', 'latin1')]),
      'a surrogate encoded as UTF-8': Buffer.from(valid.replace('}', ',"x":"\xed\xa0\x80"}'), 'latin1'),
      'UTF-16': Buffer.from(valid, 'utf16le'),
      'random bytes': Buffer.alloc(64, 0x80),
      'arrays 8,000 deep': '['.repeat(4000) + ']'.repeat(4000),
      'unclosed arrays': '['.repeat(8000),
      'one space': ' '
    }
    return Object.entries(headers).map(([name, header]) => bearer(name, signJws(key, createClaims(origin), header),
      'token_malformed'))
  },

  'a payload that is not a JSON object' (world) {
    const valid = JSON.stringify(createClaims(world.origin))
    const payloads: Record<string, unknown> = {
      'a string': '"u_1"',
      'a number': '1',
      null: 'null',
      true: 'true',
      'an array': '[]',
      'an array that holds the claims': `[${valid}]`,
      'not JSON': 'sub=u_1',
      'a truncated object': valid.slice(0, -1),
      'two objects': valid + valid,
      'trailing text': `${valid}x`,
      'a trailing comma': valid.replace('}', ',}'),
      'a byte order mark': `\ufeff${valid}`,
      'a trailing NUL': `${valid}\0`,
      'invalid UTF-8': Buffer.from(valid.replace('Ada', '\u00ff'), 'latin1'),
      'overlong UTF-8': Buffer.from(valid.replace('Ada', '\xc0\xaf'), 'latin1'),
      'a surrogate encoded as UTF-8': Buffer.from(valid.replace('Ada', '\xed\xa0\x80'), 'latin1'),
      'UTF-16': Buffer.from(valid, 'utf16le'),
      NaN: valid.replace(/"exp":\d+/, '"exp":NaN'),
      'form data': 'sub=u_1&exp=9999999999',
      'arrays 8,000 deep': '['.repeat(4000) + ']'.repeat(4000),
      'unclosed arrays': '['.repeat(8000),
      'one space': ' '
    }
    return Object.entries(payloads).map(([name, payload]) =>
      bearer(name, signJws(world.keys.ES256, payload), 'token_malformed'))
  }
}

const standard = (text: string) => text.replaceAll('-', '+').replaceAll('_', '/')

/** Encodes the same bytes, with the unused bits of the last character set. */
function spareBits (segment: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const changed = segment.slice(0, -1) + alphabet[alphabet.indexOf(segment.at(-1)!) + 1]!
  const isSame = Buffer.from(changed, 'base64url').equals(Buffer.from(segment, 'base64url'))
  if (!isSame) throw new Error('this segment has no unused bits')
  return changed
}
