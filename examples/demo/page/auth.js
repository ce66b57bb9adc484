/** Talks to the Better Auth server, which is another origin: `credentials: 'include'` sends its cookies there. */
export function createAuthClient (authUrl) {
  async function call (path, body) {
    const response = await fetch(`${authUrl}/api/auth${path}`, {
      credentials: 'include',
      ...body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    }).catch(() => { throw new Error('The auth server cannot be reached.') })
    const answer = await response.json().catch(() => null)
    if (!response.ok) throw new Error(answer?.message ?? `The auth server answered ${response.status}.`)
    return answer
  }

  return {
    signUp: ({ name, email, password }) => call('/sign-up/email', { name, email, password }),
    signIn: ({ email, password }) => call('/sign-in/email', { email, password }),
    signOut: () => call('/sign-out', {}),
    /** Who is signed in, or `null`. It also writes a new session cookie, out of the auth server's table. */
    session: () => call('/get-session?disableCookieCache=true'),
    token: async () => (await call('/token')).token
  }
}

/** What a token says: to look at. Only the API, which has the key, can tell whether it is true. */
export function decode (token) {
  const [header, claims] = token.split('.', 2).map(part => {
    const bytes = Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), char => char.charCodeAt(0))
    return JSON.parse(new TextDecoder().decode(bytes))
  })
  return { token, header, claims }
}

/** The same token with another signature. */
export function alter (token) {
  const start = token.lastIndexOf('.') + 1
  return token.slice(0, start) + (token[start] === 'A' ? 'B' : 'A') + token.slice(start + 1)
}
