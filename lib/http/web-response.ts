import type { FastifyReply } from 'fastify'

/** Fastify frames the body itself. */
const OF_THE_CONNECTION = ['connection', 'content-length', 'keep-alive', 'transfer-encoding']
/** Lists to which hooks of the application, such as those of @fastify/cors, may have added something. */
const LISTS = ['vary', 'access-control-expose-headers']

/**
 * Sends a response of Better Auth: each cookie in a header of its own, and the body as it comes.
 *
 * @throws TypeError, before it sets a header, if other code has read the body: a hook of Better Auth, for example.
 */
export function sendWebResponse (reply: FastifyReply, response: Response): FastifyReply {
  if (response.body?.locked === true || response.bodyUsed) throw new TypeError('the body has been read')
  reply.code(response.status)
  for (const [name, value] of response.headers) {
    if (OF_THE_CONNECTION.includes(name)) continue
    const before = LISTS.includes(name) ? reply.getHeader(name) : undefined
    // Fastify keeps several `Set-Cookie` headers apart, and so does `Headers`.
    reply.header(name, before === undefined ? value : `${String(before)}, ${value}`)
  }
  const isHead = reply.request.method === 'HEAD'
  if (isHead) response.body?.cancel().catch(() => {})
  return reply.send(isHead || response.body === null ? undefined : response.body)
}
