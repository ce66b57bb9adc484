import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { describeFailure, failureOf, statusFailure } from '../../lib/auth-server/failure.js'
import { startRawServer } from '../fixtures/raw-server.js'

const never = new AbortController().signal
const rejected = (cause?: object) => new TypeError('fetch failed', { cause })

const CODES = {
  connection_refused: ['ECONNREFUSED'],
  connection_reset: [
    'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
  ],
  dns: ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL'],
  unreachable: ['EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL'],
  timeout: ['ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'],
  protocol: ['HPE_INVALID_CONSTANT', 'HPE_HEADER_OVERFLOW', 'UND_ERR_HEADERS_OVERFLOW', 'Malformed_HTTP_Response'],
  encoded: ['Z_DATA_ERROR', 'Z_BUF_ERROR'],
  // The X509 certificate error codes that https://nodejs.org/docs/latest-v20.x/api/tls.html lists, and codes of TLS.
  tls: [
    'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_CRL', 'UNABLE_TO_DECRYPT_CERT_SIGNATURE', 'CERT_SIGNATURE_FAILURE',
    'CRL_SIGNATURE_FAILURE', 'CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED', 'CRL_HAS_EXPIRED',
    'ERROR_IN_CERT_NOT_AFTER_FIELD', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_CHAIN_TOO_LONG', 'CERT_REVOKED',
    'INVALID_CA', 'PATH_LENGTH_EXCEEDED', 'INVALID_PURPOSE', 'CERT_UNTRUSTED', 'CERT_REJECTED', 'HOSTNAME_MISMATCH',
    'ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_SSL_WRONG_VERSION_NUMBER', 'EPROTO'
  ],
  network: ['UND_ERR_ABORTED', 'EMFILE', 'xECONNREFUSED', 'ECONNREFUSEDx', 'HPE', '']
}

t.test('the codes of Node.js have stable words', async t => {
  for (const [code, systemCodes] of Object.entries(CODES)) {
    for (const systemCode of systemCodes) {
      t.strictSame(failureOf(rejected({ code: systemCode }), never), { code, systemCode }, systemCode)
    }
  }
})

t.test('only whole codes count, except for those of certificates', async t => {
  const { network: _network, ...known } = CODES
  for (const code of Object.values(known).flat().filter(code => !/CERT|CRL|SIGNATURE/.test(code))) {
    for (const other of [`x-${code}`, `${code}-x`]) {
      t.equal(failureOf(rejected({ code: other }), never).code, 'network', other)
    }
  }
})

t.test('an error without a code is a network error', async t => {
  for (const error of [rejected(), rejected({}), rejected({ code: 5 }), new Error('no'), rejected(new Error('no'))]) {
    t.strictSame(failureOf(error, never), { code: 'network' })
  }
})

t.test('a parser error is one of the protocol, with the code of Node.js or without it', async t => {
  t.strictSame(failureOf(rejected({ name: 'HTTPParserError' }), never), { code: 'protocol' })
  const server = await startRawServer(t, socket => { socket.end('SSH-2.0-OpenSSH_9.6\r\n') })
  t.equal(failureOf(await fetch(server.origin).catch((error: unknown) => error), never).code, 'protocol')
})

t.test('the code may be at the error itself, as in Bun', async t => {
  const error = Object.assign(new TypeError('Unable to connect.'), { code: 'ECONNREFUSED' })
  t.strictSame(failureOf(error, never), { code: 'connection_refused', systemCode: 'ECONNREFUSED' })
})

t.test('a fetch that is aborted by its timeout has the code `timeout`', async t => {
  const signal = AbortSignal.timeout(1)
  await sleep(20)
  t.strictSame(failureOf(rejected({ code: 'ECONNREFUSED' }), signal), { code: 'timeout' })
})

t.test('statuses have words', async t => {
  const words = [200, 302, 399, 400, 404, 429, 499, 500, 503, 599].map(status => statusFailure(status, 'no_jwks'))
  t.strictSame(words, [
    'no_jwks', 'no_jwks', 'no_jwks', 'http_4xx', 'http_4xx', 'rate_limited', 'http_4xx', 'http_5xx', 'http_5xx',
    'http_5xx'
  ])
})

t.test('a report shows the detail beside the code', async t => {
  t.equal(describeFailure('timeout', undefined), 'timeout')
  t.equal(describeFailure('http_5xx', 503), 'http_5xx (503)')
  t.equal(describeFailure('dns', 'ENOTFOUND'), 'dns (ENOTFOUND)')
})
