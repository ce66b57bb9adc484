/** The names that a cookie may have, the safest first: an http page can set a name without a prefix. */
export function cookieNames (name: string, isSecure: boolean): readonly string[] {
  if (/^__(?:Secure|Host)-/.test(name)) return [name]
  const names = [`__Host-${name}`, `__Secure-${name}`]
  return isSecure ? names : [...names, name]
}
