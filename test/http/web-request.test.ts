import type { FastifyRequest } from 'fastify'
import t from 'tap'
import type { ResolvedAuth } from '../../lib/contract/resolve-auth.js'
import { toWebRequest } from '../../lib/http/web-request.js'

// Over the routes of a real server: mount.test.ts.

const AUTH = { url: 'https://id.example.com/api/auth', isDynamic: false, ipHeaders: [] } as unknown as ResolvedAuth

/** A request as Fastify describes it. */
const given = (changes: object) => ({
  method: 'GET', url: '/api/auth/x', headers: {}, host: 'a', protocol: 'http', ip: '::1', ...changes
}) as unknown as FastifyRequest
const convert = (changes: object) => toWebRequest(given(changes), AUTH, new AbortController().signal)

t.test('only a body of bytes is passed on, and never with a method that has none', async t => {
  const bytes = Buffer.from('a=b')
  for (const [method, body, text] of [
    ['POST', bytes, 'a=b'], ['DELETE', bytes, 'a=b'], ['GET', bytes, null], ['HEAD', bytes, null],
    // Hooks of the application may have written them.
    ['POST', Buffer.alloc(0), null], ['POST', undefined, null], ['POST', { a: 'b' }, null], ['POST', 'a=b', null]
  ] as Array<[string, unknown, string | null]>) {
    const converted = convert({ method, body })
    t.equal(converted.url, 'https://id.example.com/api/auth/x')
    t.equal(converted.body === null ? null : await converted.text(), text, `${method} ${JSON.stringify(body)}`)
  }
})

t.test('a URL in the query stays as it is', async t => {
  const query = '?callbackURL=https://web.example/a?b#c'
  for (const url of [`/api/auth/x${query}`, `http://evil.example/api/auth/x${query}`]) {
    t.equal(convert({ url }).url, `https://id.example.com/api/auth/x${query}`)
  }
})

t.test('a header without a value, and the host of a client that names none, are left out', async t => {
  const { headers } = convert({ headers: { 'x-none': undefined, 'x-some': 'a' }, host: '' })
  t.strictSame([...headers], [['x-some', 'a']])
})
