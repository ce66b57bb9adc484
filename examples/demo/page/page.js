import { createAuthClient, decode } from './auth.js'
import { createCalls } from './calls.js'
import { byId, write } from './dom.js'
import { createLanes } from './lanes.js'
import { secondsLeft, showLife, showToken } from './token.js'

/** A token that is about to expire is replaced: seconds. */
const RENEW_BEFORE = 30
/** Milliseconds. */
const READING_TIME = 8000

const { authUrl } = await readState()
const auth = createAuthClient(authUrl)
const lanes = createLanes()
let isUp = true
/** The token, decoded. It is nowhere but here. */
let current = null
let silence

async function readState () {
  const response = await fetch('/demo/state')
  return response.json()
}

/** What the buttons of section 4 do to the auth server. */
async function control (name, body, headers = {}) {
  const response = await fetch(`/demo/${name}`, {
    method: 'POST',
    ...body ? { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) } : { headers }
  })
  if (!response.ok) throw new Error((await response.json()).message)
  return response
}

async function fetchToken () {
  use(decode(await auth.token()))
}

function use (decoded) {
  current = decoded
  if (current === null) lanes.clear()
  else lanes.use(current)
  for (const id of ['renew', 'copy', 'rotate']) byId(id).disabled = current === null
  byId('withdraw').disabled = !lanes.hasOld
  showToken(current)
}

async function enter (session) {
  const user = session?.user
  byId('signed-out').hidden = user !== undefined
  byId('signed-in').hidden = user === undefined
  if (user === undefined) {
    use(null)
    return
  }
  write('who-name', user.name)
  write('who-email', user.email)
  byId('admin').checked = user.role === 'admin'
  await fetchToken()
}

async function showServers () {
  const { isUp: answer, keys } = await readState()
  isUp = answer
  showServer('auth-state', isUp ? 'up' : 'down')
  showServer('api-state', 'up')
  write('outage', isUp ? 'Take auth server down' : 'Bring auth server up')
  const known = keys.keys.map(({ kid, confirmedAt }) => `${kid.slice(0, 8)}, confirmed ${secondsSince(confirmedAt)} s ago`).join('; ') || 'no key yet'
  const failure = keys.lastError === null ? '' : ` · no JWKS: ${keys.lastError}, next try in ${Math.max(0, -secondsSince(keys.nextTryAt))} s`
  write('known', known + failure)
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

/** Shows a line until the next one, or for long enough to read it. */
function say (text) {
  clearTimeout(silence)
  write('message', text)
  silence = setTimeout(() => { write('message', '') }, READING_TIME)
}

/** Does what a button stands for, and says what went wrong. */
function on (id, act, event = 'click') {
  byId(id).addEventListener(event, async happening => {
    happening.preventDefault()
    say('')
    try {
      await act(happening)
    } catch (error) {
      say(error.message)
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
on('renew', fetchToken)
on('copy', async () => {
  await window.navigator.clipboard.writeText(current.token)
  say('Copied the token.')
})
on('rotate', async () => {
  await control('rotate')
  if (isUp) return fetchToken()
  // As from an auth server that the API alone cannot reach: the API meets a key that it cannot look up.
  const { token } = await (await control('token')).json()
  use(decode(token))
})
on('withdraw', () => control('withdraw'))
on('outage', async () => {
  await control(isUp ? 'down' : 'up')
  await showServers()
})

write('auth-url', new URL(authUrl).host)
write('api-url', window.location.host)
createCalls({ token: () => current?.token, refreshCookie: () => auth.session().catch(() => null) })
await enter(await auth.session().catch(() => null)).catch(() => {})
tick()
