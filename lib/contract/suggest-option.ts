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
  ['roles', ['ac', 'accesscontrol']],
  ['authorize.roles', ['role']],
  ['authorize.scopes', ['scope']],
  ['authorize.permissions', ['permission']],
  ['authorize.organization', ['org', 'organizationid', 'activeorganization']]
]

/**
 * The sentence "Did you mean …?" about an unknown option, after a full stop; empty if nothing is like it.
 *
 * @param names - the known options, all with the same prefix.
 */
export function suggestOption (given: string, names: readonly string[]): string {
  const key = given.toLowerCase().replace(/[-_]/g, '')
  const isGuard = names[0]!.startsWith('authorize.')
  const meant = names.find(name => name.replace(/.*\./, '').toLowerCase() === key) ??
    ELSEWHERE.find(([option, others]) => option.startsWith('authorize.') === isGuard && others.includes(key))?.[0]
  return meant === undefined ? '' : `. Did you mean "${meant}"?`
}

/** Whether two names differ only by case, or by one character that is wrong, missing or extra. */
export function isMisspelt (name: string, option: string): boolean {
  const [a, b] = [name.toLowerCase(), option.toLowerCase()]
  let same = 0
  while (same < a.length && a[same] === b[same]) same++
  const [restA, restB] = [a.slice(same), b.slice(same)]
  return restA.slice(1) === restB.slice(1) || restA === restB.slice(1) || restA.slice(1) === restB
}

/** The same sentence about a name that the application chose; empty if no known name is similar. */
export function suggestName (given: string, names: readonly string[]): string {
  const meant = names.find(name => isMisspelt(given, name))
  return meant === undefined ? '' : `. Did you mean "${meant}"?`
}
