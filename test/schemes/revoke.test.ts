import t from 'tap'
import type { Revoked } from '../../lib/auth-server/exchange-vault.js'
import type { SharedExchangeClient } from '../../lib/auth-server/shared-exchange.js'
import { createRevoke, type EndedSession } from '../../lib/schemes/revoke.js'
import type { ExchangedTokens } from '../../lib/tokens/exchanged-tokens.js'
import type { KnownSession } from '../../lib/tokens/known-sessions.js'
import { createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()

function session (claims: object, tokenDigest = '#abc', id = 'u_1'): KnownSession {
  return { tokenDigest, verified: { token: signJws(KEY, claims), user: { id } } } as unknown as KnownSession
}

function start (fault?: Error) {
  const forgotten: Array<(session: KnownSession) => boolean> = []
  const revoked: Array<readonly Revoked[]> = []
  const sessions = {
    digest: (text: string) => `#${text}`,
    forget (isMeant: (session: KnownSession) => boolean) { forgotten.push(isMeant) }
  } as ExchangedTokens
  const shared = {
    async revoke (names: readonly Revoked[]) {
      revoked.push(names)
      if (fault !== undefined) throw fault
    }
  } as unknown as SharedExchangeClient
  return { sessions, shared, forgotten, revoked }
}

t.test('it takes one name of a session, and without the option `exchange` forgets nothing', async t => {
  const revoke = createRevoke(undefined)
  for (const wrong of [{}, { userId: '' }, { userId: 1 }, { userId: 'a', token: 'b' }, { sessionId: null }]) {
    await t.rejects(revoke(wrong as EndedSession), { code: 'FST_BETTER_AUTH_INVALID_OPTION' })
  }
  t.equal(await revoke({ userId: 'u_1' }), undefined)
})

t.test('which sessions are meant', async t => {
  const [named, unnamed] = [session({ sid: 's_1' }), session({})]
  for (const [ended, expected] of [
    [{ userId: 'u_1' }, [true, true]],
    [{ userId: 'u_2' }, [false, false]],
    [{ sessionId: 's_1' }, [true, true]],
    [{ sessionId: 's_2' }, [false, true]],
    [{ token: 'abc' }, [true, true]],
    [{ token: 'abc.signature' }, [true, true]],
    [{ token: 'abd' }, [false, false]]
  ] satisfies Array<[EndedSession, boolean[]]>) {
    const { sessions, forgotten } = start()
    const pending = createRevoke(sessions)(ended)
    t.equal(forgotten.length, 1, 'forgotten before anything is awaited')
    await pending
    t.strictSame([named, unnamed].map(forgotten[0]!), expected, JSON.stringify(ended))
  }
  const { sessions, forgotten } = start()
  await createRevoke(sessions)({ sessionId: 's_2' })
  t.equal(forgotten[0]!(session({ sid: 's_1', sessionId: 's_2' })), true, '`sessionId` comes first')
  t.equal(forgotten[0]!({ ...named, verified: { ...named.verified, user: null } }), false)
})

t.test('the shared store gets the same names; what was read from it in the meantime is forgotten too', async t => {
  for (const [ended, expected] of [
    [{ userId: 'u_1' }, [['user', 'u_1']]],
    [{ sessionId: 's_1' }, [['session', 's_1'], ['session', '']]],
    [{ token: 'abc' }, [['token', 'abc']]],
    [{ token: 'abc.signature' }, [['token', 'abc.signature'], ['token', 'abc']]]
  ] satisfies Array<[EndedSession, Revoked[]]>) {
    const { sessions, shared, forgotten, revoked } = start()
    await createRevoke(sessions, shared)(ended)
    t.strictSame(revoked, [expected])
    t.equal(forgotten.length, 2)
  }
})

t.test('if the shared store fails, this instance has forgotten the session, and the caller learns it', async t => {
  const cause = new Error('down')
  const { sessions, shared, forgotten } = start(cause)
  await t.rejects(createRevoke(sessions, shared)({ userId: 'u_1' }), {
    code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', cause
  })
  t.equal(forgotten.length, 1)
})
