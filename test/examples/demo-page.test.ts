import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { chromium, type Locator, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { stops } from '../fixtures/examples.js'
import { copyProject, freePorts, ROOT, NODE, start, type Running } from '../fixtures/program.js'

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const isMissing = existsSync(CHROMIUM)
  ? false
  : `there is no ${CHROMIUM}: install Chromium, or set CHROMIUM to its path`

/** `SCREENSHOT=1` replaces the screenshot: with the default ports, and with more squares in the strips. */
const takesScreenshot = process.env.SCREENSHOT === '1'
const SQUARES = takesScreenshot ? 6 : 1
/** A narrow phone. */
const PHONE = { width: 375, height: 667 }

/** The browser's own lines about responses that the test asks for. */
const EXPECTED =
  /^Failed to load resource: (?:the server responded with a status of (?:401|403|503) |net::ERR_CONNECTION_REFUSED)/

interface Browser { complaints: string[], newPage: () => Promise<Page> }

/** An empty browser, and the unexpected lines of its console. Each page has its own cookies. */
async function openBrowser (t: Test): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'
    ]
  })
  t.teardown(() => browser.close())
  const complaints: string[] = []
  return {
    complaints,
    async newPage () {
      const context = await browser.newContext({
        viewport: { width: 1280, height: 820 }, colorScheme: 'light', permissions: ['clipboard-read', 'clipboard-write']
      })
      const page = await context.newPage()
      page.setDefaultTimeout(30_000)
      page.on('pageerror', error => { complaints.push(error.message) })
      page.on('console', message => {
        const isComplaint = ['error', 'warning'].includes(message.type()) && !EXPECTED.test(message.text())
        if (isComplaint) complaints.push(message.text())
      })
      return page
    }
  }
}

/** Finds the parts of the demo page by their text. */
function handle (page: Page) {
  const button = (name: string) => page.getByRole('button', { name })
  const lane = (name: string) => page.locator('.lane', { has: page.getByText(name, { exact: true }) })

  return {
    button,
    claim: (name: string) => page.getByRole('row', { name: new RegExp(`^${name} `) }).getByRole('cell'),
    says: (text: string) => page.getByText(text).waitFor(),
    shows: (message: string) => page.locator('#message').getByText(message, { exact: true }).waitFor(),
    focused: (part: Locator) => part.and(page.locator(':focus')).waitFor(),
    /**
     * Sends a request to the API with this credential. Resolves with the response that the page shows.
     *
     * @param sent - the credential that was sent, according to the page.
     */
    async call (route: string, credential: string, sent = credential) {
      await page.getByRole('radio', { name: credential }).check()
      await page.locator('#sent').evaluate(sent => { sent.textContent = '' })
      await button(route).click()
      const line = new RegExp(`^${route} · ${sent} · \\d\\d:\\d\\d:\\d\\d$`)
      await page.locator('#sent', { hasText: line }).waitFor()
      const shown = page.locator('#status, #reason, #www-authenticate, #retry-after, #body')
      const [status, reason, challenge, wait, body] = await shown.allTextContents()
      return { status, reason, challenge, wait, body: JSON.parse(body!) as Record<string, unknown> }
    },
    /** What a screen reader says about a button besides its name, according to Chromium. */
    async description (name: string): Promise<unknown> {
      const devtools = await page.context().newCDPSession(page)
      const { root: { nodeId } } = await devtools.send('DOM.getDocument')
      const query = { nodeId, role: 'button', accessibleName: name }
      const { nodes: [node] } = await devtools.send('Accessibility.queryAXTree', query)
      await devtools.detach()
      return node!.description?.value ?? ''
    },
    /** Sends the requests to this URL, and keeps their responses from the page until they are released. */
    async hold (url: string) {
      let release!: () => void
      const released = new Promise<void>(resolve => { release = resolve })
      const sent = page.waitForRequest(url)
      let held!: () => void
      const arrived = new Promise<void>(resolve => { held = resolve })
      await page.route(url, async route => {
        const response = await route.fetch()
        held()
        await released
        await route.fulfill({ response })
      })
      return {
        arrived,
        /** Resolves when the page has the response. */
        async release () {
          release()
          await (await (await sent).response())!.finished()
          await page.unroute(url)
        }
      }
    },
    /** Rotates the keys. Resolves when the page has a token of another key. */
    async rotate () {
      const kid = page.getByRole('row', { name: /^kid / })
      const before = await kid.getByRole('cell').textContent()
      await button('Rotate the keys').click()
      await kid.filter({ hasNotText: before! }).waitFor()
    },
    /** Waits, for each key, for more squares in its strip, and until the newest has this status. */
    async pulse (statuses: Record<string, string>) {
      await Promise.all(Object.entries(statuses).map(async ([name, status]) => {
        const squares = lane(name).locator('i[title]')
        await squares.nth(await squares.count() + SQUARES - 1).waitFor()
        await lane(name).locator('.last', { hasText: new RegExp(`^${status}`) }).waitFor()
      }))
    }
  }
}

t.setTimeout(300_000)

/** What a user can call the API with, and the `principal.via` of it. */
const CREDENTIALS = [
  ['Bearer token', 'bearer'], ['Session cookie', 'cookie'], ['Session token', 'session-token'], ['API key', 'api-key']
] as const

/** What the page says about a token that it does not have. */
const noToken = 'nothing: there is no token'

interface Demo extends Browser {
  example: Running
  authPort: number
  apiPort: number
  apiUrl: string
  /** Opens the page of the demo, with nobody signed in. */
  openPage: () => Promise<Page>
}

async function startDemo (t: Test, project: string, browser: Browser, ...flags: string[]): Promise<Demo> {
  const [authPort, apiPort] = takesScreenshot ? [3000, 3001] as const : await freePorts(t)
  const apiUrl = `http://localhost:${apiPort}`
  const example = start(t, project, [...NODE, 'examples/demo/server.js', ...flags], {
    AUTH_PORT: String(authPort), PORT: String(apiPort)
  })
  await example.printed(`-i ${apiUrl}/me\n`)
  async function openPage () {
    const page = await browser.newPage()
    await page.goto(apiUrl)
    await page.locator('#auth-state', { hasText: 'up' }).waitFor()
    return page
  }
  return { example, authPort, apiPort, apiUrl, openPage, ...browser }
}

t.test('the demo page, in Chromium', { skip: isMissing }, async t => {
  const [project, browser] = [copyProject(t), await openBrowser(t)]
  const demo = await startDemo(t, project, browser)
  await t.test('with a mouse', t => testPage(t, demo))
  await t.test('with a keyboard, with a screen reader, without a token', t => testAccess(t, demo))

  const { example, authPort, apiPort } = demo
  await t.test('the example ends with 0 on SIGTERM, even with open connections', t => {
    return stops(t, example, 'SIGTERM', [authPort, apiPort])
  })
  await t.test('with Better Auth in the same app', async t => {
    await testSameApp(t, await startDemo(t, project, browser, '--same-app'))
  })
})

/** With Better Auth's own client in the page. */
async function testSameApp (t: Test, demo: Demo): Promise<void> {
  const { example, authPort, apiPort, apiUrl, openPage, complaints } = demo
  const before = complaints.length
  const page = await openPage()
  const { button, call, claim, description, pulse, rotate } = handle(page)
  const { outputFiles: [bundle] } = await build({
    stdin: { contents: "export { createAuthClient } from 'better-auth/client'", resolveDir: ROOT },
    bundle: true,
    format: 'iife',
    globalName: 'betterAuth',
    write: false
  })
  await page.evaluate(`${bundle!.text}; globalThis.client = betterAuth.createAuthClient(); null`)
  const me = () => page.evaluate("fetch('/me').then(({ status }) => status)")
  const person = "email: 'grace@example.com', password: 'correct horse battery staple'"

  await t.test('the client of Better Auth signs up, out and in, and each counts at once', async t => {
    const signUp = `client.signUp.email({ name: 'Grace', ${person} })`
    t.equal(await page.evaluate(`${signUp}.then(({ data }) => data.user.email)`), 'grace@example.com')
    t.equal(await page.evaluate('client.getSession().then(({ data }) => data.user.name)'), 'Grace')
    t.equal(await me(), 200)
    const token = await page.evaluate('client.getSession().then(({ data }) => data.session.token)') as string
    const byToken = async () => (await fetch(`${apiUrl}/me`, { headers: { authorization: `Bearer ${token}` } })).status
    t.equal(await byToken(), 200)
    t.equal(await page.evaluate('client.signOut().then(({ data }) => data.success)'), true)
    t.equal(await me(), 401)
    t.equal(await byToken(), 401)
    t.equal(await page.evaluate(`client.signIn.email({ ${person} }).then(({ error }) => error)`), null)
    t.equal(await me(), 200)
  })

  await t.test('so does the page, by each credential, and after a rotation', async t => {
    await page.reload()
    await claim('email').getByText('grace@example.com').waitFor()
    t.match(await page.locator('#set-up').textContent(), 'in the Fastify app of the API')
    t.equal(await claim('iss').textContent(), apiUrl)
    for (const [credential, via] of CREDENTIALS) {
      t.match(await call('POST /notes', credential), { status: '201', body: { by: via } })
    }
    await rotate()
    await t.resolves(pulse({ 'Old key': '200', 'New key': '200' }))
    t.ok(await button('Take auth server down').isDisabled())
    t.equal(await description('Take auth server down'), 'It runs in the app of the API.')
    t.equal((await fetch(`${apiUrl}/demo/down`, { method: 'POST', headers: { origin: apiUrl } })).status, 404)
  })

  t.strictSame(complaints.slice(before), [])
  await stops(t, example, 'SIGTERM', [authPort, apiPort])
}

async function testPage (t: Test, { authPort, apiUrl, openPage, newPage, complaints }: Demo): Promise<void> {
  const page = await openPage()
  const { button, call, claim, description, focused, hold, pulse, rotate, says, shows } = handle(page)
  const nobody = 'nothing: you are signed out'

  /** Whether no part of the page is wider than a phone. */
  async function fitsPhone (): Promise<boolean> {
    const size = page.viewportSize()!
    await page.setViewportSize(PHONE)
    const width = await page.evaluate('document.documentElement.scrollWidth')
    await page.setViewportSize(size)
    return width === PHONE.width
  }

  await t.test('nobody is signed in: only the protected route refuses', async t => {
    t.match(await call('GET /open', 'Nothing'), { status: '200', reason: '–' })
    t.match(await call('GET /hello', 'Nothing'), { status: '200', body: { message: 'Hello stranger!' } })
    t.match(await call('GET /me', 'Nothing'), {
      status: '401', reason: 'token_missing', challenge: 'Bearer', body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' }
    })
    t.ok(await fitsPhone())
  })

  await t.test('the page names no credential that it does not have', async t => {
    t.match(await call('GET /me', 'Bearer token', noToken), { status: '401', reason: 'token_missing' })
    t.match(await call('GET /me', 'Altered token', noToken), { status: '401', reason: 'token_missing' })
    for (const credential of ['Session cookie', 'Session token', 'API key']) {
      t.match(await call('GET /me', credential, nobody), { status: '401', reason: 'token_missing' }, credential)
    }
  })

  await t.test('a disabled button says why, can be reached, and does nothing', async t => {
    const urls: string[] = []
    page.on('request', request => { urls.push(request.url()) })
    for (const name of ['New token', 'Copy token', 'Rotate the keys', 'Withdraw the old key']) {
      t.ok(await button(name).isDisabled(), name)
      t.equal(await description(name), 'Sign in first.')
      const below = button(name).locator('xpath=following-sibling::p')
      t.equal(await below.textContent(), 'Sign in first.')
      t.ok(await below.isVisible())
      await button(name).focus()
      await focused(button(name))
      await page.keyboard.press('Enter')
      await t.resolves(shows('Sign in first.'))
      await page.locator('#message').evaluate(message => { message.textContent = '' })
    }
    t.notOk(await button('Take auth server down').isDisabled())
    t.strictSame(urls.filter(url => url !== `${apiUrl}/demo/state`), [])
  })

  await t.test('signing up at the other origin brings a token, and the page shows its claims and lifetime', async t => {
    await page.getByLabel('Password').press('Enter')
    await button('Sign out').waitFor()
    t.equal(await claim('iss').textContent(), `http://localhost:${authPort}`)
    t.equal(await claim('email').textContent(), 'ada@example.com')
    t.match(await page.locator('#left').textContent(), /^1[45] min \d\d s$/)
    const life = await page.getByRole('progressbar', { name: 'Expires in' }).getAttribute('value')
    t.ok(Number(life) > 800 && Number(life) <= 900)
  })

  await t.test('after the sign-in, the focus is on who is signed in, just before the account controls', async t => {
    await t.resolves(focused(page.getByRole('group', { name: 'Ada Lovelace ada@example.com' })))
    await page.keyboard.press('Tab')
    await t.resolves(focused(page.getByRole('switch', { name: 'Be an admin' })))
  })

  await t.test('a button that is enabled has no reason, and the one that needs an old key says so', async t => {
    for (const name of ['New token', 'Copy token', 'Rotate the keys']) {
      t.notOk(await button(name).isDisabled(), name)
      t.equal(await description(name), '')
    }
    t.ok(await button('Withdraw the old key').isDisabled())
    t.equal(await description('Withdraw the old key'), 'No old key: rotate the keys first.')
  })

  await t.test('each route responds according to its guard, by each credential', async t => {
    for (const [credential, via] of CREDENTIALS) {
      const greeting = { message: 'Hello Ada Lovelace!' }
      t.match(await call('GET /hello', credential), { status: '200', body: greeting }, credential)
      t.match(await call('GET /me', credential), { status: '200', body: { email: 'ada@example.com' } })
      t.match(await call('GET /admin', credential), {
        status: '403', reason: 'role_missing', challenge: /insufficient_scope/
      })
      t.match(await call('POST /notes', credential), { status: '201', body: { by: via } })
    }
    t.match(await call('GET /me', 'Altered token'), {
      status: '401', reason: 'signature_invalid', challenge: /invalid_token/
    })
    t.match(await call('GET /me', 'Nothing'), { status: '401', reason: 'token_missing', challenge: 'Bearer' })
  })

  await t.test('a control that the API refuses shows the reason, too', async t => {
    await page.route('**/demo/role', route => {
      const headers = route.request().headers()
      return route.continue({ headers: { ...headers, authorization: `${headers.authorization}.` } })
    })
    await page.getByRole('switch', { name: 'Be an admin' }).click()
    await t.resolves(shows('Invalid authentication credentials (token_malformed)'))
    await page.unroute('**/demo/role')
  })

  await t.test('a new admin is let in at once, by each credential', async t => {
    await page.getByRole('switch', { name: 'Be an admin' }).click()
    await claim('role').getByText('admin').waitFor()
    for (const [credential] of CREDENTIALS) {
      t.match(await call('GET /admin', credential), { status: '200' }, credential)
    }
  })

  await t.test('after a rotation, both the new key and the old key are accepted', async t => {
    await rotate()
    await t.resolves(pulse({ 'Old key': '200', 'New key': '200' }))
    t.notOk(await button('Withdraw the old key').isDisabled())
    t.equal(await description('Withdraw the old key'), '')
  })

  await t.test('in an outage, known keys keep working, and a new key has to wait', async t => {
    await button('Take auth server down').click()
    await says('no JWKS: connection_refused')
    await t.resolves(pulse({ 'Old key': '200', 'New key': '200' }))
    await button('Sign out').click()
    await says('The auth server cannot be reached.')
    for (const [credential] of CREDENTIALS) {
      t.match(await call('GET /me', credential), { status: '200' }, credential)
    }

    await rotate()
    await t.resolves(pulse({ 'Old key': '200', 'New key': '503 jwks_unavailable, Retry-After \\d+ s' }))
    t.match(await call('GET /me', 'Bearer token'), {
      status: '503', reason: 'jwks_unavailable', wait: /^\d+ s$/, body: { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' }
    })

    await button('Bring auth server up').click()
    await t.resolves(pulse({ 'Old key': '200', 'New key': '200' }))
  })

  await t.test('a withdrawn key is refused within seconds', async t => {
    await button('Withdraw the old key').click()
    await t.resolves(pulse({ 'Old key': '401 unknown_key$', 'New key': '200' }))
    const screenshot = join(t.testdir({}), 'screenshot.png')
    await page.mouse.move(0, 0)
    await page.screenshot({ path: screenshot })
    if (takesScreenshot) copyFileSync(screenshot, join(ROOT, 'examples/demo/page/screenshot.png'))
    t.ok(await fitsPhone())
  })

  await t.test('just after a withdrawn key was refused, a new key is accepted at once', async t => {
    await rotate()
    t.match(await call('GET /me', 'Bearer token'), { status: '200' })
  })

  await t.test('the token is in no storage and in no URL', async t => {
    const places = await page.evaluate('[location.href, localStorage.length, sessionStorage.length]')
    t.strictSame(places, [`${apiUrl}/`, 0, 0])
  })

  await t.test('the API docs authorize with the copied token', async t => {
    await button('Copy token').click()
    await says('Copied the token.')
    const token = await page.evaluate('navigator.clipboard.readText()') as string
    const docs = await newPage()
    await docs.goto(`${apiUrl}/docs`)
    await docs.locator('#operations-default-get_me').click()
    await docs.getByRole('button', { name: 'Try it out' }).click()
    const execute = async (status: string) => {
      await docs.getByRole('button', { name: 'Execute' }).click()
      await docs.locator('.live-responses-table .response-col_status', { hasText: status }).waitFor()
    }

    await execute('401')
    await docs.getByRole('button', { name: 'Authorize', exact: true }).click()
    await docs.getByLabel('auth-bearer-value').fill(token)
    const form = docs.locator('form', { has: docs.getByLabel('auth-bearer-value') })
    await form.getByRole('button', { name: 'Apply credentials' }).click()
    await docs.getByRole('button', { name: 'Close' }).first().click()
    await execute('200')
    const response = docs.locator('.live-responses-table tbody .response-col_description').first()
    t.match(await response.textContent(), 'ada@example.com')
  })

  await t.test('after a reload, the user is still signed in, and the focus is where the browser put it', async t => {
    await page.reload()
    await claim('email').waitFor()
    t.equal(await page.evaluate('document.activeElement.tagName'), 'BODY')
  })

  await t.test('signing out forgets the token and the response, even those still to come', async t => {
    await call('GET /me', 'Bearer token')
    await page.locator('#news', { hasText: 'The key: 200' }).waitFor({ state: 'attached' })
    const token = await hold(`http://localhost:${authPort}/api/auth/token`)
    const response = await hold(`${apiUrl}/me`)
    await button('New token').click()
    await button('GET /me').click()
    await Promise.all([token.arrived, response.arrived])

    await button('Sign out').click()
    await button('Sign in').waitFor()
    const shown = page.locator('#status, #sent, #reason, #www-authenticate, #retry-after, #body, #claims, #news')
    const nothing = ['Sign in to get a token.', '–', 'Send a request to see its response.', '–', '–', '–', '', '']
    t.strictSame(await shown.allTextContents(), nothing)

    await Promise.all([token.release(), response.release()])
    await page.evaluate('fetch("/open").then(response => response.json())')
    t.strictSame(await shown.allTextContents(), nothing)
    t.equal(await description('Copy token'), 'Sign in first.')
  })

  await t.test('after the sign-out, the focus is on the first field of the form', async t => {
    await t.resolves(focused(page.getByLabel('Name')))
  })

  await t.test('signing out ends the session', async t => {
    t.match(await call('GET /me', 'Bearer token', noToken), { status: '401', reason: 'token_missing' })
    for (const credential of ['Session cookie', 'Session token', 'API key']) {
      t.match(await call('GET /me', credential, nobody), { status: '401', reason: 'token_missing' }, credential)
    }
  })

  t.strictSame(complaints, [], 'the console has no other line: no error, nothing that the policy blocked')
  await page.context().close()
}

/** After `testPage()`: the user exists. */
async function testAccess (t: Test, { authPort, apiUrl, openPage }: Demo): Promise<void> {
  const page = await openPage()
  const { button, call, claim, description, hold, shows } = handle(page)

  await t.test('Tab reaches each control once, in the order of the page, and leaves; Shift+Tab goes back', async t => {
    async function walk (key: string, presses: number) {
      const stops: unknown[] = []
      while (stops.length < presses) {
        await page.keyboard.press(key)
        stops.push(await page.evaluate(`(({ id, ariaLabel, value, dataset, textContent, tagName }) =>
          tagName === 'BODY' ? tagName : id || ariaLabel || dataset.path || value || textContent
        )(document.activeElement)`))
      }
      return stops
    }
    const controls = [
      'API docs', 'name', 'email', 'password', 'sign-up', 'sign-in', 'Claims of the token', 'renew', 'copy', 'bearer',
      '/open', '/hello', '/me', '/admin', '/notes', 'body', 'rotate', 'withdraw', 'outage'
    ]
    t.strictSame(await walk('Tab', controls.length + 1), [...controls, 'BODY'])
    await page.locator('#outage').focus()
    t.strictSame(['outage', ...await walk('Shift+Tab', controls.length - 1)], controls.reverse())
  })

  await t.test('a screen reader hears a new response, even one that equals the last', async t => {
    const response = page.getByRole('status', { name: 'Response' })
    t.equal(await response.getAttribute('aria-live'), 'polite')
    for (const part of ['#status', '#sent', '#reason', '#body']) t.equal(await response.locator(part).count(), 1)
    await call('GET /open', 'Nothing')
    const before = await response.textContent()
    await page.clock.setFixedTime(Date.now() + 60_000)
    await call('GET /open', 'Nothing')
    t.not(await response.textContent(), before)
  })

  await t.test('a screen reader hears nothing of a request that ends after the sign-out', async t => {
    const pulse = await hold(`${apiUrl}/demo/pulse`)
    await button('Sign in').click()
    await pulse.arrived
    await button('Sign out').click()
    await button('Sign in').waitFor()
    await pulse.release()
    await page.evaluate('fetch("/open").then(response => response.json())')
    t.equal(await page.locator('#news').textContent(), '')
  })

  await t.test('who is signed in without a token can fetch one, and sends only the cookie until then', async t => {
    const url = `http://localhost:${authPort}/api/auth/token`
    await page.route(url, route => route.abort())
    await button('Sign in').click()
    await shows('The auth server cannot be reached.')
    t.ok(await button('Copy token').isDisabled())
    t.equal(await description('Copy token'), 'Fetch a new token first.')
    t.match(await call('GET /me', 'Bearer token', noToken), { status: '401', reason: 'token_missing' })
    t.match(await call('GET /me', 'Session cookie'), { status: '200' })

    await page.unroute(url)
    await button('New token').click()
    await claim('sub').waitFor()
    t.notOk(await button('Copy token').isDisabled())
  })
}
