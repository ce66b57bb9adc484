/** Calls the Better Auth server, which is another origin: `credentials: 'include'` sends its cookies. */
export function createAuthClient (authUrl) {
  async function call (path, body) {
    const response = await fetch(`${authUrl}/api/auth${path}`, {
      credentials: 'include',
      ...body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    }).catch(() => { throw new Error('The auth server cannot be reached.') })
    const result = await response.json().catch(() => null)
    if (!response.ok) throw new Error(result?.message ?? `The auth server responded with ${response.status}.`)
    return result
  }

  return {
    signUp: ({ name, email, password }) => call('/sign-up/email', { name, email, password }),
    signIn: ({ email, password }) => call('/sign-in/email', { email, password }),
    signOut: () => call('/sign-out', {}),
    /** The session, or `null`. It comes from the auth server's table, and renews the session cookie. */
    session: () => call('/get-session?disableCookieCache=true'),
    token: async () => (await call('/token')).token,
    /** Creates an API key for the signed-in user. */
    createKey: async () => (await call('/api-key/create', { name: 'demo' })).key
  }
}

/** Decodes a token for display. Only the API verifies it. */
export function decode (token) {
  const [header, claims] = token.split('.', 2).map(part => {
    const bytes = Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), char => char.charCodeAt(0))
    return JSON.parse(new TextDecoder().decode(bytes))
  })
  return { token, header, claims }
}

/** The same token with an invalid signature. */
export function alter (token) {
  const start = token.lastIndexOf('.') + 1
  return token.slice(0, start) + (token[start] === 'A' ? 'B' : 'A') + token.slice(start + 1)
}
