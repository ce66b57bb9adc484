import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { copyProject, freePorts, ROOT, start, TSX } from '../fixtures/program.js'

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const isMissing = existsSync(CHROMIUM)
  ? false
  : `there is no ${CHROMIUM}: install Chromium, or set CHROMIUM to its path`

/** `SCREENSHOT=1` replaces the screenshot: with the default ports, and with more squares in the strips. */
const takesScreenshot = process.env.SCREENSHOT === '1'
const SQUARES = takesScreenshot ? 6 : 1

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
        viewport: { width: 1280, height: 800 }, colorScheme: 'light', permissions: ['clipboard-read', 'clipboard-write']
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
    /** Sends a request to the API with this credential. Resolves with the response that the page shows. */
    async call (route: string, credential: string) {
      await page.getByRole('radio', { name: credential }).check()
      await page.locator('#sent').evaluate(sent => { sent.textContent = '' })
      await button(route).click()
      await page.locator('#sent', { hasText: `${route} · ${credential.toLowerCase()}` }).waitFor()
      const shown = page.locator('#status, #www-authenticate, #retry-after, #body')
      const [status, challenge, wait, body] = await shown.allTextContents()
      return { status, challenge, wait, body: JSON.parse(body!) as Record<string, unknown> }
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

t.setTimeout(120_000)

t.test('the demo page, in Chromium', { skip: isMissing }, async t => {
  const [authPort, apiPort] = takesScreenshot ? [3000, 3001] : await freePorts(t)
  const apiUrl = `http://localhost:${apiPort}`
  const example = start(t, copyProject(t), [...TSX, 'examples/demo/server.ts'], {
    AUTH_PORT: String(authPort), PORT: String(apiPort)
  })
  const { complaints, newPage } = await openBrowser(t)
  const page = await newPage()
  const { button, call, claim, pulse, rotate, says } = handle(page)

  await example.printed(`-i ${apiUrl}/me\n`)
  await page.goto(apiUrl)
  await page.locator('#auth-state', { hasText: 'up' }).waitFor()

  await t.test('nobody is signed in: only the protected route refuses', async t => {
    t.match(await call('GET /open', 'Nothing'), { status: '200' })
    t.match(await call('GET /hello', 'Nothing'), { status: '200', body: { message: 'Hello stranger!' } })
    t.match(await call('GET /me', 'Session cookie'), {
      status: '401', challenge: 'Bearer', body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' }
    })
    t.ok(await button('Copy token').isDisabled())
  })

  await t.test('signing up at the other origin brings a token, and the page shows its claims and lifetime', async t => {
    await button('Sign up').click()
    await button('Sign out').waitFor()
    t.equal(await claim('iss').textContent(), `http://localhost:${authPort}`)
    t.equal(await claim('email').textContent(), 'ada@example.com')
    t.match(await page.locator('#left').textContent(), /^1[45] min \d\d s$/)
    const life = await page.getByRole('progressbar', { name: 'Expires in' }).getAttribute('value')
    t.ok(Number(life) > 800 && Number(life) <= 900)
  })

  await t.test('each route responds according to its guard, by bearer and by cookie', async t => {
    for (const credential of ['Bearer token', 'Session cookie']) {
      const greeting = { message: 'Hello Ada Lovelace!' }
      t.match(await call('GET /hello', credential), { status: '200', body: greeting }, credential)
      t.match(await call('GET /me', credential), { status: '200', body: { email: 'ada@example.com' } })
      t.match(await call('GET /admin', credential), { status: '403', challenge: /insufficient_scope/ })
      t.match(await call('POST /notes', credential), { status: '201', body: { by: credential.split(' ')[1] } })
    }
    t.match(await call('GET /me', 'Altered token'), { status: '401', challenge: /invalid_token/ })
    t.match(await call('GET /me', 'Nothing'), { status: '401', challenge: 'Bearer' })
  })

  await t.test('a new admin is let in, by bearer and by cookie', async t => {
    await page.getByRole('switch', { name: 'Be an admin' }).click()
    await claim('role').getByText('admin').waitFor()
    for (const credential of ['Bearer token', 'Session cookie']) {
      t.match(await call('GET /admin', credential), { status: '200' }, credential)
    }
  })

  await t.test('after a rotation, both the new key and the old key are accepted', async t => {
    await rotate()
    await t.resolves(pulse({ 'Old key': '200', 'New key': '200' }))
  })

  await t.test('in an outage, known keys keep working, and a new key has to wait', async t => {
    await button('Take auth server down').click()
    await says('no JWKS: ECONNREFUSED')
    await t.resolves(pulse({ 'Old key': '200', 'New key': '200' }))
    await button('Sign out').click()
    await says('The auth server cannot be reached.')

    await rotate()
    await t.resolves(pulse({ 'Old key': '200', 'New key': '503' }))
    t.match(await call('GET /me', 'Bearer token'), {
      status: '503', wait: /^\d+ s$/, body: { code: 'FST_BETTER_AUTH_JWKS_UNAVAILABLE' }
    })

    await button('Bring auth server up').click()
    await t.resolves(pulse({ 'Old key': '200', 'New key': '200' }))
  })

  await t.test('a withdrawn key is refused within seconds', async t => {
    await button('Withdraw the old key').click()
    await t.resolves(pulse({ 'Old key': '401', 'New key': '200' }))
    const screenshot = join(t.testdir({}), 'screenshot.png')
    await page.mouse.move(0, 0)
    await page.screenshot({ path: screenshot })
    if (takesScreenshot) copyFileSync(screenshot, join(ROOT, 'examples/demo/page/screenshot.png'))
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

  await t.test('signing out forgets the token and ends the session', async t => {
    await button('Sign out').click()
    await button('Sign in').waitFor()
    await says('Sign in to get a token.')
    t.match(await call('GET /me', 'Bearer token'), { status: '401', body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
    t.match(await call('GET /me', 'Session cookie'), { status: '401', body: { code: 'FST_BETTER_AUTH_TOKEN_MISSING' } })
  })

  t.strictSame(complaints, [], 'the console has no other line: no error, nothing that the policy blocked')
})
