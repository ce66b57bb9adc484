import t from 'tap'
import { resolveResource } from '../../lib/contract/resolve-resource.js'
import { challengeScopes, checkAdmission, createAdmission, neededScopes } from '../../lib/guards/admission.js'
import { InvalidOptionError, type Guard } from '../../lib/index.js'
import { USER, type TokenPrincipal } from '../../lib/tokens/principal.js'
import { refusalOf } from '../fixtures/refusals.js'

const RESOURCE = resolveResource('https://api.example.com', 'https://id.example.com/api/auth')!

/** A caller with these scopes, those included by others too. */
function caller (
  kind: TokenPrincipal['kind'], scopes: readonly string[] = []
): Parameters<ReturnType<typeof createAdmission>>[0] {
  const principal: TokenPrincipal = kind === 'user' ? USER : { kind, clientId: 'app_1', scopes: [], sessionId: null }
  return { principal, authorization: { roles: [], scopes, bannedUntil: undefined } }
}

const KINDS = ['user', 'delegated', 'client'] as const
const ALL_SCOPES = ['a', 'b', 'c']

/** The kinds that a guard lets in, if they have all scopes. */
function admitted (guard: Guard): string[] {
  const admit = createAdmission(neededScopes(guard))
  return KINDS.filter(kind => {
    try {
      admit(caller(kind, ALL_SCOPES))
      return true
    } catch {
      return false
    }
  })
}

t.test('a guard lets in users, and the clients that it names', async t => {
  for (const [guard, kinds] of [
    [{ roles: ['admin'] }, ['user']],
    [{ scopes: ['a'] }, ['user']],
    [{ users: true }, ['user']],
    [{ users: undefined, roles: ['admin'] }, ['user']],
    [{ delegated: ['a'] }, ['user', 'delegated']],
    [{ clients: ['a'] }, ['user', 'client']],
    [{ delegated: ['a'], clients: ['a'] }, ['user', 'delegated', 'client']],
    [{ delegated: ['a'], users: false }, ['delegated']],
    [{ clients: ['a'], users: false }, ['client']],
    [{ delegated: ['a'], clients: ['a'], users: false }, ['delegated', 'client']],
    [{ users: false }, []]
  ] as Array<[Guard, string[]]>) {
    t.strictSame(admitted(guard), kinds, JSON.stringify(guard))
  }
  const admit = createAdmission(neededScopes({ clients: ['a'] }))
  const refusal = await refusalOf(() => { admit(caller('delegated', ALL_SCOPES)) })
  t.match(refusal, { statusCode: 403, reason: 'principal_not_allowed', scopes: [] })
})

t.test('clients need all scopes of the guard, and the challenge names them all', async t => {
  const guard: Guard = { delegated: ['a'], clients: ['a', 'b'], scopes: ['c'] }
  const admit = createAdmission(neededScopes(guard))
  for (const [kind, scopes, needed] of [
    ['delegated', [], ['a', 'c']],
    ['delegated', ['a'], ['a', 'c']],
    ['delegated', ['c', 'b'], ['a', 'c']],
    ['client', ['a', 'c'], ['a', 'b', 'c']]
  ] as const) {
    t.match(await refusalOf(() => { admit(caller(kind, scopes)) }), {
      statusCode: 403, reason: 'scope_missing', scopes: needed
    }, `${kind} with ${scopes.join(' ')}`)
  }
  t.doesNotThrow(() => { admit(caller('delegated', ['c', 'a'])) })
  t.doesNotThrow(() => { admit(caller('client', ['c', 'b', 'a', 'x'])) })
  t.doesNotThrow(() => { admit(caller('user')) }, 'the clause "scopes" judges users')
})

t.test('a guard that nobody can pass, or that needs the option "resource", is refused', async t => {
  const messageOf = (guard: Guard) => {
    try {
      checkAdmission(guard, { resource: RESOURCE })
    } catch (error) {
      if (error instanceof InvalidOptionError) return error.message
      throw error
    }
    return 'accepted'
  }
  const nobody = 'Option "authorize.users" must not be false without "delegated" or "clients": nobody could pass'
  const needsResource = (name: string) =>
    `Option "authorize.${name}" needs the option "resource": without it, access tokens of OAuth clients are refused`

  t.equal(messageOf({ users: false }), nobody)
  t.equal(messageOf({ users: false, roles: ['admin'] }), nobody)
  for (const guard of [{ roles: ['admin'] }, { users: true }] as Guard[]) {
    t.equal(messageOf(guard), 'accepted')
    checkAdmission(guard, { resource: undefined })
  }
  for (const guard of [{ delegated: ['a'] }, { clients: ['a'] }, { clients: ['a'], users: false }] as Guard[]) {
    t.equal(messageOf(guard), 'accepted', JSON.stringify(guard))
    const [name] = Object.keys(guard)
    t.throws(() => { checkAdmission(guard, { resource: undefined }) }, { message: needsResource(name!) })
  }
  t.throws(() => { checkAdmission({ delegated: ['a'], clients: ['a'] }, { resource: undefined }) }, {
    message: needsResource('delegated')
  })
})

t.test('the challenge without a token has the scopes of the first kind of client that may come', async t => {
  for (const [guard, scopes] of [
    [{ scopes: ['a'] }, []],
    [{ delegated: ['a'], clients: ['b'], scopes: ['a', 'c'] }, ['a', 'c']],
    [{ clients: ['b'], scopes: ['c'] }, ['b', 'c']]
  ] as Array<[Guard, string[]]>) t.strictSame(challengeScopes(guard), scopes, JSON.stringify(guard))
})
