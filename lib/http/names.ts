import type { FastifyInstance } from 'fastify'
import { AlreadyRegisteredError } from '../contract/setup-errors.js'

type Decorate = 'decorate' | 'decorateRequest' | 'decorateReply'

/** A name that the plugin, or @fastify/jwt on its behalf, adds to Fastify. */
interface Name { readonly method: Decorate, readonly name: string, readonly wayOut: string }

const OWN = 'rename yours, or register one of the two in a sibling scope'
const JWT = 'remove your registration of @fastify/jwt, which better-auth-fastify registers itself. For other tokens, ' +
  'register it later with a "namespace", or in a sibling scope'
const NAMES: readonly Name[] = [
  { method: 'decorate', name: 'betterAuth', wayOut: OWN },
  { method: 'decorate', name: 'authenticate', wayOut: OWN },
  { method: 'decorate', name: 'authenticateOptional', wayOut: OWN },
  { method: 'decorate', name: 'authorize', wayOut: OWN },
  { method: 'decorate', name: 'jwt', wayOut: JWT },
  { method: 'decorateRequest', name: 'user', wayOut: `give @fastify/passport another "userProperty", ${OWN}` },
  { method: 'decorateRequest', name: 'claims', wayOut: OWN },
  { method: 'decorateRequest', name: 'principal', wayOut: OWN },
  { method: 'decorateRequest', name: 'jwtVerify', wayOut: JWT },
  { method: 'decorateRequest', name: 'jwtDecode', wayOut: JWT },
  { method: 'decorateReply', name: 'jwtSign', wayOut: JWT }
]
const SESSION: Name = {
  method: 'decorateRequest',
  name: 'session',
  wayOut: `give @fastify/secure-session another "sessionName", ${OWN}, such as @fastify/session. Without the option ` +
    '"sessionCookie", better-auth-fastify leaves the name free'
}

/**
 * Assures that nobody else has the names that the plugin is about to add.
 *
 * @throws AlreadyRegisteredError that names the first, and says what to do.
 */
export function assertNamesAreFree (fastify: FastifyInstance, withSession: boolean): void {
  if (fastify.hasDecorator('betterAuth')) {
    throw new AlreadyRegisteredError('better-auth-fastify is already registered in this scope; ' +
      'for a second auth server register it in a sibling scope')
  }
  const taken = namesOf(withSession).find(({ method, name }) => isTaken(fastify, method, name))
  if (taken !== undefined) throw takenTwice(taken)
}

/**
 * Watches the names that the plugin has added: whoever adds one of them later fails the boot with an error that names
 * it. Most plugins do not catch the error that Fastify itself throws, and it would end the process.
 */
export function keepNames (fastify: FastifyInstance, withSession: boolean): void {
  const names = namesOf(withSession)
  const wanted = new Set<Name>()
  for (const decorate of ['decorate', 'decorateRequest', 'decorateReply'] as const) {
    const original = Reflect.get(fastify, decorate) as (this: FastifyInstance, ...args: unknown[]) => unknown
    Reflect.set(fastify, decorate, function (this: FastifyInstance, ...args: unknown[]) {
      const kept = names.find(({ method, name }) => method === decorate && name === args[0])
      // A child scope may replace a decorator of the instance, but not one of its requests.
      if (kept === undefined || (decorate === 'decorate' && this !== fastify)) return original.apply(this, args)
      wanted.add(kept)
      return this
    })
  }
  fastify.addHook('onReady', async () => {
    const twice = names.find(name => wanted.has(name))
    if (twice !== undefined) throw takenTwice(twice)
  })
}

function namesOf (withSession: boolean): readonly Name[] {
  return withSession ? [...NAMES, SESSION] : NAMES
}

function isTaken (fastify: FastifyInstance, method: Decorate, name: string): boolean {
  if (method === 'decorateRequest') return fastify.hasRequestDecorator(name)
  if (method === 'decorateReply') return fastify.hasReplyDecorator(name)
  // A scope may have a decorator that its parent has, too; but @fastify/jwt of a parent has also taken `request.user`.
  return name === 'jwt' ? fastify.hasDecorator(name) : Object.hasOwn(fastify, name)
}

function takenTwice ({ method, name, wayOut }: Name): Error {
  const owner = { decorate: 'fastify', decorateRequest: 'request', decorateReply: 'reply' }[method]
  return new AlreadyRegisteredError(`${owner}.${name} is taken twice in this scope, by better-auth-fastify and by ` +
    `other code. Way out: ${wayOut}`)
}
