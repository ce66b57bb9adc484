import type { FastifyReply } from 'fastify'

/** The headers that a response gets if it has this status. */
export interface PendingHeaders { readonly statusCode: number, readonly headers: Record<string, string | string[]> }

/**
 * Adds headers to a response at the last moment, when its status is known, whoever writes it: a handler, an error
 * handler, another framework on top of Fastify, or code that takes `reply.raw`. Headers that it already has stay.
 * Requests that are never refused pay nothing for it, as they would for an `onSend` hook.
 *
 * @param find - returns the headers, or `undefined`.
 */
export function addBeforeHead ({ raw }: FastifyReply, find: () => PendingHeaders | undefined): void {
  const { writeHead } = raw
  // Node.js calls this method also where nobody does, as for a stream. Its arguments win over the headers set before.
  raw.writeHead = function (this: typeof raw, ...args: [number]) {
    raw.writeHead = writeHead
    const pending = find()
    if (pending?.statusCode === args[0]) {
      for (const [name, value] of Object.entries(pending.headers)) if (!raw.hasHeader(name)) raw.setHeader(name, value)
    }
    return writeHead.apply(this, args)
  } as typeof writeHead
}
