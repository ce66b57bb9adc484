import { createAuthClient, decode } from './auth.js'
import { createCalls } from './calls.js'
import { byId, explain, reasonOf, write } from './dom.js'
import { createLanes } from './lanes.js'
import { secondsLeft, showLife, showToken } from './token.js'

/** How long before its expiry a token is replaced, in seconds. */
const RENEW_BEFORE = 30
/** How long a message stays, in milliseconds. */
const READING_TIME = 8000

const { authUrl, isSameApp } = await readState()
const auth = createAuthClient(authUrl)
const lanes = createLanes()
const calls = createCalls({
  token: () => current?.token,
  sessionToken: () => sessionToken,
  apiKey,
  isSignedIn: () => user !== null,
  refreshCookie: () => auth.session().catch(() => null)
})
let isUp = true
/** Who is signed in, or `null`. */
let user = null
/** The decoded token. The page keeps it, the session token and the API key in these variables only. */
let current = null
let sessionToken
/** A promise of the API key, from when it is first used. */
let key
let silence

async function readState () {
  const response = await fetch('/demo/state')
  return response.json()
}

/** Runs a control of section 4. */
async function control (name, body, headers = {}) {
  const response = await fetch(`/demo/${name}`, {
    method: 'POST',
    ...body ? { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) } : { headers }
  })
  if (response.ok) return response
  const reason = response.headers.get('demo-reason')
  throw new Error(`${(await response.json()).message}${reason === null ? '' : ` (${reason})`}`)
}

/** Fetches a token and continues with it, unless someone else is signed in, or nobody, by the time it arrives. */
async function fetchToken (ask = auth.token) {
  const before = user
  const token = await ask()
  if (user === before) use(decode(token))
}

/** The API key of the signed-in user. The auth server shows it only once, when it creates the key. */
function apiKey () {
  if (key === undefined) {
    const created = auth.createKey()
    key = created
    created.catch(() => { if (key === created) key = undefined })
  }
  return key
}

function use (decoded) {
  current = decoded
  if (current === null) lanes.clear()
  else lanes.use(current)
  showToken(current)
  showReasons()
}

function showReasons () {
  const reason = user === null ? 'Sign in first.' : ''
  explain('renew', reason)
  explain('copy', reason || (current === null ? 'Fetch a new token first.' : ''))
  explain('rotate', reason)
  explain('withdraw', reason || (lanes.hasOld ? '' : 'No old key: rotate the keys first.'))
}

async function enter (session) {
  if (session === null || session.user.id !== user?.id) key = undefined
  user = session?.user ?? null
  sessionToken = session?.session.token
  if (user === null) {
    use(null)
    calls.clear()
    exchange('signed-in', 'signed-out', 'name')
    return
  }
  write('who-name', user.name)
  write('who-email', user.email)
  byId('admin').checked = user.role === 'admin'
  exchange('signed-out', 'signed-in', 'signed-in')
  showReasons()
  await fetchToken()
}

/** Shows one part in the place of another. If the focus was in that part, it moves to the target. */
function exchange (from, to, target) {
  const hadFocus = byId(from).contains(document.activeElement)
  byId(to).hidden = false
  byId(from).hidden = true
  if (hadFocus) byId(target).focus()
}

async function showServers () {
  const state = await readState()
  isUp = state.isUp
  showServer('auth-state', isUp ? 'up' : 'down')
  showServer('api-state', 'up')
  write('outage', isUp ? 'Take auth server down' : 'Bring auth server up')
  write('known', describeKeys(state.keys))
}

function describeKeys ({ keys, lastError, nextTryAt }) {
  const known = keys.map(({ kid, confirmedAt }) => `${kid.slice(0, 8)}, confirmed ${secondsSince(confirmedAt)} s ago`)
  const list = known.join('; ') || 'no key yet'
  if (lastError === null) return list
  return `${list} · no JWKS: ${lastError}, next try in ${Math.max(0, -secondsSince(nextTryAt))} s`
}

function showServer (id, text) {
  write(id, text)
  byId(id).className = `state ${text === 'up' ? 'good' : 'bad'}`
}

function secondsSince (time) {
  return Math.round((Date.now() - Date.parse(time)) / 1000)
}

async function tick () {
  const started = Date.now()
  showLife(current)
  await showServers().catch(() => { showServer('api-state', 'down') })
  await lanes.pulse()
  if (current !== null && isUp && secondsLeft(current) < RENEW_BEFORE) await fetchToken().catch(() => {})
  setTimeout(tick, Math.max(0, started + 1000 - Date.now()))
}

/** Shows a message for a few seconds, or until the next one. */
function showMessage (text) {
  clearTimeout(silence)
  write('message', text)
  silence = setTimeout(() => { write('message', '') }, READING_TIME)
}

/** Runs an action on an event of an element, and shows its error. A disabled button only shows its reason. */
function on (id, act, event = 'click') {
  byId(id).addEventListener(event, async domEvent => {
    domEvent.preventDefault()
    showMessage('')
    try {
      if (reasonOf(id) !== '') throw new Error(reasonOf(id))
      await act(domEvent)
    } catch (error) {
      showMessage(error.message)
    }
  })
}

on('signed-out', async ({ target, submitter }) => {
  const fields = Object.fromEntries(new FormData(target))
  await (submitter?.value === 'sign-in' ? auth.signIn(fields) : auth.signUp(fields))
  await enter(await auth.session())
}, 'submit')
on('sign-out', async () => {
  await auth.signOut()
  await enter(null)
})
on('admin', async ({ target }) => {
  try {
    if (!isUp) throw new Error('The auth server is down.')
    await control('role', { role: target.checked ? 'admin' : 'user' }, { authorization: `Bearer ${current.token}` })
    await enter(await auth.session())
  } finally {
    target.checked = current?.claims.role === 'admin'
  }
}, 'change')
on('renew', () => fetchToken())
on('copy', async () => {
  await window.navigator.clipboard.writeText(current.token)
  showMessage('Copied the token.')
})
on('rotate', async () => {
  await control('rotate')
  if (isUp) return fetchToken()
  // As if the API alone could not reach the auth server: the API gets a token whose key it cannot fetch.
  return fetchToken(async () => (await (await control('token')).json()).token)
})
on('withdraw', () => control('withdraw'))
on('outage', async () => {
  await control(isUp ? 'down' : 'up')
  await showServers()
})

if (isSameApp) {
  write('set-up', 'Better Auth signs tokens in the Fastify app of the API that trusts them.')
  explain('outage', 'It runs in the app of the API.')
}
write('auth-url', new URL(authUrl).host)
write('api-url', window.location.host)
await enter(await auth.session().catch(() => null)).catch(() => {})
tick()
