import type { FastifyRequest } from 'fastify'
import t from 'tap'
import type { ResolvedAuth } from '../../lib/contract/resolve-auth.js'
import { toWebRequest } from '../../lib/http/web-request.js'

// Over the routes of a real server: mount.test.ts.

const AUTH = { url: 'https://id.example.com/api/auth', isDynamic: false, ipHeaders: [] } as unknown as ResolvedAuth

t.test('only a body of bytes is passed on, and never with a method that has none', async t => {
  const bytes = Buffer.from('a=b')
  for (const [method, body, text] of [
    ['POST', bytes, 'a=b'], ['DELETE', bytes, 'a=b'], ['GET', bytes, null], ['HEAD', bytes, null],
    // Hooks of the application may have written them.
    ['POST', Buffer.alloc(0), null], ['POST', undefined, null], ['POST', { a: 'b' }, null], ['POST', 'a=b', null]
  ] as Array<[string, unknown, string | null]>) {
    const request = { method, body, url: '/api/auth/x', headers: {}, host: 'a', protocol: 'http', ip: '::1' }
    const converted = toWebRequest(request as unknown as FastifyRequest, AUTH, new AbortController().signal)
    t.equal(converted.url, 'https://id.example.com/api/auth/x')
    t.equal(converted.body === null ? null : await converted.text(), text, `${method} ${JSON.stringify(body)}`)
  }
})
