import t from 'tap'
import type { Revoked } from '../../lib/auth-server/exchange-vault.js'
import type { SharedExchangeClient } from '../../lib/auth-server/shared-exchange.js'
import { createRevoke, type EndedSession } from '../../lib/schemes/revoke.js'
import type { ExchangedTokens } from '../../lib/tokens/exchanged-tokens.js'
import type { VerifiedToken } from '../../lib/tokens/verified-token.js'
import { createSigningKey, signJws } from '../fixtures/signing.js'

const KEY = createSigningKey()

type IsMeant = (verified: VerifiedToken) => boolean

/** A session that was exchanged. */
function session (claims: object): VerifiedToken {
  return { tokenDigest: '#abc', token: signJws(KEY, claims), user: { id: 'u_1' }, session: null } as VerifiedToken
}

function start (fault?: Error) {
  const forgotten: IsMeant[] = []
  const ended: IsMeant[] = []
  const revoked: Array<readonly Revoked[]> = []
  const sessions = {
    digest: (text: string) => `#${text}`,
    forget (isMeant: IsMeant) { forgotten.push(isMeant) }
  } as ExchangedTokens
  const shared = {
    async revoke (names: readonly Revoked[]) {
      revoked.push(names)
      if (fault !== undefined) throw fault
    }
  } as unknown as SharedExchangeClient
  const endConnections = (isMeant: IsMeant) => { ended.push(isMeant) }
  return { context: { sessions, endConnections }, shared, forgotten, ended, revoked }
}

t.test('it takes one name of a session, and without the option `exchange` forgets nothing', async t => {
  const { context, forgotten } = start()
  const revoke = createRevoke({ ...context, sessions: undefined })
  for (const wrong of [{}, { userId: '' }, { userId: 1 }, { userId: 'a', token: 'b' }, { sessionId: null }]) {
    await t.rejects(revoke(wrong as EndedSession), { code: 'FST_BETTER_AUTH_INVALID_OPTION' })
  }
  t.equal(await revoke({ userId: 'u_1' }), undefined)
  t.equal(forgotten.length, 0)
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
    const { context, forgotten } = start()
    const pending = createRevoke(context)(ended)
    t.equal(forgotten.length, 1, 'forgotten before anything is awaited')
    await pending
    t.strictSame([named, unnamed].map(forgotten[0]!), expected, JSON.stringify(ended))
  }
  const { context, forgotten } = start()
  await createRevoke(context)({ sessionId: 's_2' })
  t.equal(forgotten[0]!(session({ sid: 's_1', sessionId: 's_2' })), true, '`sessionId` comes first')
  t.equal(forgotten[0]!({ ...named, user: null }), false)
})

t.test('a token that starts with a dot means no other session', async t => {
  const { context, shared, ended, revoked } = start()
  await createRevoke({ ...context, shared })({ token: '.abc' })
  const verified = session({})
  t.strictSame([verified, { ...verified, tokenDigest: undefined }].map(ended[0]!), [false, false])
  t.strictSame(revoked, [[['token', '.abc']]])
})

t.test('the shared store gets the same names; what was read from it in the meantime is forgotten too', async t => {
  for (const [ended, expected] of [
    [{ userId: 'u_1' }, [['user', 'u_1']]],
    [{ sessionId: 's_1' }, [['session', 's_1'], ['session', '']]],
    [{ token: 'abc' }, [['token', 'abc']]],
    [{ token: 'abc.signature' }, [['token', 'abc.signature'], ['token', 'abc']]]
  ] satisfies Array<[EndedSession, Revoked[]]>) {
    const { context, shared, forgotten, revoked } = start()
    await createRevoke({ ...context, shared })(ended)
    t.strictSame(revoked, [expected])
    t.equal(forgotten.length, 2)
  }
})

t.test('if the shared store fails, this instance has forgotten the session, and the caller learns it', async t => {
  const cause = new Error('down')
  const { context, shared, forgotten, ended } = start(cause)
  await t.rejects(createRevoke({ ...context, shared })({ userId: 'u_1' }), {
    code: 'FST_BETTER_AUTH_REVOCATION_UNAVAILABLE', cause
  })
  t.equal(forgotten.length, 1)
  t.strictSame(ended, forgotten)
})

t.test('connections end when sessions are forgotten, and also without the option `exchange`', async t => {
  const { context, shared, forgotten, ended } = start()
  await createRevoke({ ...context, shared })({ userId: 'u_1' })
  t.equal(ended.length, 2)
  t.strictSame(ended, forgotten)
  await createRevoke({ ...context, sessions: undefined })({ userId: 'u_1' })
  t.equal(ended.length, 3)
})

t.test('a connection of a token that was not exchanged is meant only if the token names the session', async t => {
  const jwt = (claims: object, session: object | null = null): VerifiedToken => {
    return { token: signJws(KEY, claims), user: { id: 'u_1' }, session } as VerifiedToken
  }
  const connections = {
    plain: jwt({}),
    named: jwt({ sid: 's_1' }),
    also: jwt({ sessionId: 's_1' }),
    cookie: jwt({ sid: 'abc' }, { id: 's_1', token: 'abc' }),
    machine: { ...jwt({}), user: null }
  }
  for (const [revoked, expected] of [
    [{ userId: 'u_1' }, ['plain', 'named', 'also', 'cookie']],
    [{ userId: 'u_2' }, []],
    [{ sessionId: 's_1' }, ['named', 'also', 'cookie']],
    [{ sessionId: 's_2' }, []],
    [{ token: 'abc' }, ['cookie']],
    [{ token: 'abc.signature' }, ['cookie']],
    [{ token: 'abd' }, []]
  ] satisfies Array<[EndedSession, string[]]>) {
    for (const isExchanging of [true, false]) {
      const { context: { sessions, endConnections }, ended } = start()
      await createRevoke({ endConnections, sessions: isExchanging ? sessions : undefined })(revoked)
      const meant = Object.entries(connections).filter(([, verified]) => ended[0]!(verified)).map(([name]) => name)
      t.strictSame(meant, expected, JSON.stringify(revoked))
    }
  }
})
