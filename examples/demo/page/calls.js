import { alter } from './auth.js'
import { byId, write } from './dom.js'

/** Section 3: sends a request to the API by the chosen credential, and shows what comes back. */
export function createCalls ({ token, refreshCookie }) {
  function requestOf (method, credential) {
    const headers = method === 'POST' ? { 'content-type': 'application/json' } : {}
    const sent = credential === 'forged' && token() ? alter(token()) : token()
    if (['bearer', 'forged'].includes(credential) && sent) headers.authorization = `Bearer ${sent}`
    // Page and API share an origin here. A page elsewhere writes `include`.
    return { method, headers, credentials: credential === 'cookie' ? 'same-origin' : 'omit', ...method === 'POST' && { body: '{}' } }
  }

  async function call (method, path) {
    const { value: credential, labels } = document.querySelector('[name=credential]:checked')
    const asked = `${method} ${path} · ${labels[0].textContent.trim().toLowerCase()}`
    const send = () => fetch(path, requestOf(method, credential))
    try {
      let response = await send()
      // The cookie lives for five minutes: one try more, with a new one.
      if (response.status === 401 && credential === 'cookie' && await refreshCookie()) response = await send()
      show(asked, response.status, response.headers, JSON.stringify(await response.json(), null, 2))
    } catch {
      show(asked, '–', new Headers(), 'No answer: is the example still running?')
    }
  }

  function show (asked, status, headers, text) {
    byId('status').className = `status s${status}`
    write('status', String(status))
    write('asked', asked)
    write('www-authenticate', headers.get('www-authenticate') ?? '–')
    write('retry-after', headers.has('retry-after') ? `${headers.get('retry-after')} s` : '–')
    write('body', text)
  }

  byId('routes').addEventListener('click', ({ target }) => {
    const button = target.closest('button')
    if (button !== null) call(button.dataset.method, button.dataset.path)
  })
}
