import { alter } from './auth.js'
import { byId, write } from './dom.js'

/** Section 3: sends a request to the API with the chosen credential, and shows the response. */
export function createCalls ({ token, refreshCookie }) {
  function requestOf (method, credential) {
    const headers = method === 'POST' ? { 'content-type': 'application/json' } : {}
    const sent = credential === 'forged' && token() ? alter(token()) : token()
    if (['bearer', 'forged'].includes(credential) && sent) headers.authorization = `Bearer ${sent}`
    // The page and the API share an origin here. A page of another origin needs `include`.
    const credentials = credential === 'cookie' ? 'same-origin' : 'omit'
    return { method, headers, credentials, ...method === 'POST' && { body: '{}' } }
  }

  async function call (method, path) {
    const { value: credential, labels } = document.querySelector('[name=credential]:checked')
    const sent = `${method} ${path} · ${labels[0].textContent.trim().toLowerCase()}`
    const send = () => fetch(path, requestOf(method, credential))
    try {
      let response = await send()
      // The cookie expires after five minutes: retry once, with a new one.
      if (response.status === 401 && credential === 'cookie' && await refreshCookie()) response = await send()
      show(sent, response.status, response.headers, JSON.stringify(await response.json(), null, 2))
    } catch {
      show(sent, '–', new Headers(), 'No response. Is the example still running?')
    }
  }

  function show (sent, status, headers, text) {
    byId('status').className = `status s${status}`
    write('status', String(status))
    write('sent', sent)
    write('www-authenticate', headers.get('www-authenticate') ?? '–')
    write('retry-after', headers.has('retry-after') ? `${headers.get('retry-after')} s` : '–')
    write('body', text)
  }

  byId('routes').addEventListener('click', ({ target }) => {
    const button = target.closest('button')
    if (button !== null) call(button.dataset.method, button.dataset.path)
  })
}
