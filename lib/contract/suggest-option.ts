/** What an option is called elsewhere, in lower case and without dashes: in Better Auth, and in packages like this. */
const ELSEWHERE: ReadonlyArray<readonly [option: string, names: readonly string[]]> = [
  ['authUrl', ['url', 'baseurl', 'basepath', 'serverurl', 'betterauthurl', 'domain']],
  ['jwksPath', ['jwksurl', 'jwksuri']],
  ['issuer', ['iss', 'issuers', 'allowediss']],
  ['audience', ['aud', 'audiences', 'allowedaud']],
  ['algorithms', ['algorithm', 'alg']],
  ['userSchema', ['schema', 'user']],
  ['tokenCache', ['cache']],
  ['sessionCookie', ['cookie', 'cookies', 'session']],
  ['sessionCookie.prefix', ['cookieprefix']],
  ['sessionCookie.trustedOrigins', ['trustedorigins', 'origins']],
  ['jwks.timeout', ['timeout']],
  ['jwks.headers', ['headers']],
  ['authorize.roles', ['role']],
  ['authorize.scopes', ['scope']],
  ['authorize.check', ['permission', 'permissions']]
]

/**
 * The sentence "Did you mean …?" about an unknown option, after a full stop; empty if nothing is like it.
 *
 * @param names - the known options, with their prefixes.
 */
export function suggestOption (given: string, names: readonly string[]): string {
  const key = given.toLowerCase().replace(/[-_]/g, '')
  const isGuard = names.every(name => name.startsWith('authorize.'))
  const meant = names.find(name => name.replace(/^.*\./, '').toLowerCase() === key) ??
    ELSEWHERE.find(([option, others]) => option.startsWith('authorize.') === isGuard && others.includes(key))?.[0]
  return meant === undefined ? '' : `. Did you mean "${meant}"?`
}
