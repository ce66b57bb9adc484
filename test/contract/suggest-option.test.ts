import t from 'tap'
import { suggestName, suggestOption } from '../../lib/contract/suggest-option.js'
import { JWKS_OPTIONS, OPTIONS, SESSION_COOKIE_OPTIONS } from '../../lib/contract/option-schemas.js'

const namesOf = (schemas: object, prefix = '') => Object.keys(schemas).map(name => prefix + name)

for (const [given, names, meant] of [
  ['baseURL', namesOf(OPTIONS), 'authUrl'],
  ['basePath', namesOf(OPTIONS), 'authUrl'],
  ['jwksUrl', namesOf(OPTIONS), 'jwksPath'],
  ['JWKS_URI', namesOf(OPTIONS), 'jwksPath'],
  ['trustedOrigins', namesOf(OPTIONS), 'sessionCookie.trustedOrigins'],
  ['AuthURL', namesOf(OPTIONS), 'authUrl'],
  ['session-cookie', namesOf(OPTIONS), 'sessionCookie'],
  ['allowedAud', namesOf(OPTIONS), 'audience'],
  ['maxage', namesOf(JWKS_OPTIONS, 'jwks.'), 'jwks.maxAge'],
  ['trustedorigins', namesOf(SESSION_COOKIE_OPTIONS, 'sessionCookie.'), 'sessionCookie.trustedOrigins'],
  ['role', ['authorize.roles', 'authorize.scopes'], 'authorize.roles'],
  ['scope', ['authorize.roles', 'authorize.scopes'], 'authorize.scopes'],
  ['permission', ['authorize.roles', 'authorize.permissions'], 'authorize.permissions'],
  ['org', ['authorize.organization'], 'authorize.organization'],
  ['ac', namesOf(OPTIONS), 'roles']
] as const) {
  t.test(`"${given}" is probably "${meant}"`, async t => {
    t.equal(suggestOption(given, names), `. Did you mean "${meant}"?`)
  })
}

t.test('nothing is suggested for a name that is like none', async t => {
  for (const given of ['', 'x', 'constructor', '__proto__', 'toString', 'role']) {
    t.equal(suggestOption(given, namesOf(OPTIONS)), '', given)
  }
  t.equal(suggestOption('baseURL', ['authorize.roles']), '', 'an option of the plugin, for a guard')
})

t.test('every suggestion is an option', async t => {
  const known = [
    ...namesOf(OPTIONS), ...namesOf(JWKS_OPTIONS, 'jwks.'), ...namesOf(SESSION_COOKIE_OPTIONS, 'sessionCookie.')
  ]
  for (const given of ['baseURL', 'jwksUrl', 'iss', 'aud', 'alg', 'schema', 'cache', 'cookie', 'cookiePrefix',
    'trustedOrigins', 'timeout', 'headers']) {
    const meant = /"(.*)"/.exec(suggestOption(given, namesOf(OPTIONS)))?.[1]
    t.ok(known.includes(meant!), `${given}: ${meant}`)
  }
})

t.test('a name of the application is suggested if it differs in its case or in one character', async t => {
  const names = ['create', 'session', 'project:read']
  for (const [given, meant] of [
    ['Create', 'create'], ['creat', 'create'], ['creates', 'create'], ['cweate', 'create'],
    ['crate', 'create'], ['creaate', 'create'],
    ['project.read', 'project:read']
  ] as const) t.equal(suggestName(given, names), `. Did you mean "${meant}"?`, given)
  // "session" is what an option is called elsewhere.
  for (const given of ['delete', 'cookie', 'craete', '']) t.equal(suggestName(given, names), '', given)
})
