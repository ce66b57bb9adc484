import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import { verifiedToken } from './request-decorators.js'

/**
 * Keeps responses that a session cookie authenticated out of shared caches, which know that `Authorization` makes a
 * response private (RFC 9111 §3.5), but know nothing about cookies. What a route or another hook has set stays.
 */
export function protectCookieResponses (fastify: FastifyInstance, options: ResolvedOptions): void {
  fastify.addHook('onSend', (request, reply, _payload, done) => {
    const via = verifiedToken(request, options)?.via
    if (via === 'cookie' || via === 'session-cookie') {
      if (reply.getHeader('cache-control') === undefined) reply.header('cache-control', 'private')
      addToVary(reply)
    }
    done()
  })
}

function addToVary (reply: FastifyReply): void {
  const vary = [reply.getHeader('vary') ?? []].flat().join(', ')
  const names = vary.toLowerCase().split(',').map(name => name.trim())
  if (names.includes('cookie') || names.includes('*')) return
  reply.header('vary', vary === '' ? 'Cookie' : `${vary}, Cookie`)
}
