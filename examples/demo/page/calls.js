import { alter } from './auth.js'
import { byId, write } from './dom.js'

const bearer = token => ({ authorization: `Bearer ${token}` })

/** Section 3: sends a request to the API with the chosen credential, and shows the response. */
export function createCalls ({ token, sessionToken, apiKey, isSignedIn, refreshCookie }) {
  /** The number of the newest request. Responses of all others come too late to be shown. */
  let newest = 0

  /** What the page sends for a choice, and the name of it. */
  async function credentialOf ({ value, labels }) {
    const name = labels[0].textContent.trim()
    if (value === 'none') return { name, credentials: 'omit' }
    if (value === 'cookie') {
      // The page and the API share an origin here. A page of another origin needs `include`.
      return { name: isSignedIn() ? name : 'nothing: you are signed out', credentials: 'same-origin' }
    }
    if (['session', 'key'].includes(value) && !isSignedIn()) {
      return { name: 'nothing: you are signed out', credentials: 'omit' }
    }
    if (value === 'session') return { name, credentials: 'omit', headers: bearer(sessionToken()) }
    if (value === 'key') {
      const key = await apiKey().catch(() => undefined)
      if (key === undefined) return { name: 'nothing: there is no API key', credentials: 'omit' }
      return { name, credentials: 'omit', headers: { 'x-api-key': key } }
    }
    if (token() === undefined) return { name: 'nothing: there is no token', credentials: 'omit' }
    return { name, credentials: 'omit', headers: bearer(value === 'forged' ? alter(token()) : token()) }
  }

  async function call (method, path) {
    const number = ++newest
    const { name, headers, credentials } = await credentialOf(document.querySelector('[name=credential]:checked'))
    const body = method === 'POST' && { body: '{}', headers: { ...headers, 'content-type': 'application/json' } }
    const send = () => fetch(path, { method, credentials, headers, ...body })
    // A screen reader repeats the same response only if the time tells it apart from the last one.
    const sent = `${method} ${path} · ${name} · ${new Date().toTimeString().slice(0, 8)}`
    try {
      let response = await send()
      // The cookie expires after five minutes: retry once, with a new one.
      if (response.status === 401 && credentials === 'same-origin' && await refreshCookie()) response = await send()
      show(number, sent, response.status, response.headers, JSON.stringify(await response.json(), null, 2))
    } catch {
      show(number, sent, '–', new Headers(), 'No response. Is the example still running?')
    }
  }

  function show (number, sent, status, headers, text) {
    if (number !== newest) return
    byId('status').className = `status s${status}`
    write('status', String(status))
    write('sent', sent)
    write('reason', headers.get('demo-reason') ?? '–')
    write('www-authenticate', headers.get('www-authenticate') ?? '–')
    write('retry-after', headers.has('retry-after') ? `${headers.get('retry-after')} s` : '–')
    write('body', text)
  }

  byId('routes').addEventListener('click', ({ target }) => {
    const button = target.closest('button')
    if (button !== null) call(button.dataset.method, button.dataset.path)
  })

  return {
    /** Forgets the response that is shown, and the one that is still to come. */
    clear () {
      show(++newest, 'Send a request to see its response.', '–', new Headers(), '')
    }
  }
}
