import t from 'tap'
import {
  betterAuthCookieSecuritySchemes, betterAuthOAuthSecurityScheme, betterAuthSecuritySchemes, securityOf, type SchemeName
} from '../../lib/openapi/security-schemes.js'

t.test('the cookie is one scheme more', async t => {
  t.strictSame(Object.keys(betterAuthSecuritySchemes), ['betterAuth'])
  t.strictSame(Object.keys(betterAuthCookieSecuritySchemes), ['betterAuth', 'betterAuthCookie'])
})

t.test('the scheme of OAuth clients names the endpoints of the provider', async t => {
  const scopes = { 'orders:read': 'Read orders' }
  for (const issuer of ['https://id.example.com/api/auth', 'https://id.example.com/api/auth//']) {
    t.strictSame(betterAuthOAuthSecurityScheme(issuer, scopes).betterAuthOAuth.flows, {
      authorizationCode: {
        authorizationUrl: 'https://id.example.com/api/auth/oauth2/authorize',
        tokenUrl: 'https://id.example.com/api/auth/oauth2/token',
        scopes
      },
      clientCredentials: { tokenUrl: 'https://id.example.com/api/auth/oauth2/token', scopes }
    })
  }
})

t.test('the alternatives of a route', async t => {
  const all: SchemeName[] = ['betterAuth', 'betterAuthCookie', 'betterAuthOAuth']
  const users = [{ betterAuth: [] }, { betterAuthCookie: [] }]
  const oauth = (...scopes: string[]) => ({ betterAuthOAuth: scopes })
  t.strictSame(securityOf([], all), users)
  t.strictSame(securityOf([{ scopes: ['a'] }], all), users)
  t.strictSame(securityOf([{ delegated: ['a'] }], all), [...users, oauth('a')])
  t.strictSame(securityOf([{ clients: ['b'], scopes: ['c'] }], all), [...users, oauth('b', 'c')])
  t.strictSame(securityOf([{ delegated: ['a'], clients: ['b'] }], all), [...users, oauth('a'), oauth('b')])
  t.strictSame(securityOf([{ delegated: ['a'], clients: ['a'] }], all), [...users, oauth('a')], 'once')
  t.strictSame(securityOf([{ delegated: ['a'] }, { delegated: ['a', 'b'] }], all), [...users, oauth('a', 'b')])
  t.strictSame(securityOf([{ delegated: ['a'] }, { roles: ['x'] }], all), users, 'a guard without it keeps them out')
  t.strictSame(securityOf([{ delegated: ['a'], users: false }], all), [oauth('a')])
  t.strictSame(securityOf([{ delegated: ['a'], users: true }], all), [...users, oauth('a')])
})

t.test('a route for OAuth clients only never appears as public', async t => {
  const guard = { delegated: ['a'], users: false }
  t.strictSame(securityOf([guard], ['betterAuth', 'betterAuthCookie']), [{ betterAuth: [] }])
  t.strictSame(securityOf([guard, { clients: ['b'], users: false }], ['betterAuth', 'betterAuthOAuth']), [
    { betterAuth: [] }
  ])
  t.strictSame(securityOf([guard], []), [])
})
