import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { ALGORITHMS } from '../../lib/index.js'
import { createTestIssuer, type TestIssuer, type TestIssuerOptions } from '../../lib/testing/index.js'
import { parsePage, read } from '../fixtures/docs.js'

const folder = t.testdir({})

t.setTimeout(300_000)

t.test('what the guide says about fastify-jwt-jwks is so', async t => {
  const [before] = parsePage('docs/guides/migrating.md').blocks
    .filter(({ heading, language }) => heading === 'From fastify-jwt-jwks' && language === 'js')

  let count = 0
  async function startBefore (t: Test, options?: TestIssuerOptions, change = (code: string) => code) {
    const issuer = await createTestIssuer(options)
    t.teardown(() => issuer.close())
    const file = join(folder, `before-${count++}.mjs`)
    const quiet = before!.code.replace('{ logger: true }', '').replace('await app.listen({ port: 3001 })\n', '')
    const code = change(quiet.replaceAll('https://id.example.com', issuer.authUrl))
    writeFileSync(file, `${code}\nexport { app }\n`)
    const { app } = await import(pathToFileURL(file).href) as { app: FastifyInstance }
    t.teardown(() => app.close())
    const ask = async (authorization?: string) => {
      const sent = authorization === undefined ? {} : { authorization }
      const { statusCode, headers, body } = await app.inject({ url: '/me', headers: sent })
      return { status: statusCode, headers, body: JSON.parse(body) as Record<string, unknown> }
    }
    return { issuer, ask, bearer: (token: string) => ask(`Bearer ${token}`) }
  }

  const accepted: Record<string, (issuer: TestIssuer) => string> = {
    'a token': issuer => issuer.token(),
    'a logout token': issuer => issuer.token({}, { header: { typ: 'logout+jwt' } }),
    'the token of a banned user': issuer => issuer.token({ banned: true })
  }
  for (const [name, token] of Object.entries(accepted)) {
    t.test(`it accepts ${name}, and hands out the whole payload`, async t => {
      const { issuer, bearer } = await startBefore(t)
      t.match(await bearer(token(issuer)), { status: 200, body: { id: 'user_1', sub: 'user_1', iss: issuer.authUrl } })
    })
  }

  t.test('it refuses without the headers of RFC 6750', async t => {
    const { issuer, ask, bearer } = await startBefore(t)
    const answers = [
      await ask(), await ask('Bearer a b'), await bearer(issuer.expired()), await bearer(issuer.forged())
    ]
    for (const answer of answers) {
      t.equal(answer.status, 401)
      t.notOk(answer.headers['www-authenticate'])
    }
    t.match(await bearer(issuer.wrongAudience()), { body: { code: /^FST_JWT_/, message: /aud claim/ } })
    t.notOk((await ask()).body.code)
  })

  t.test('it knows RS256 and EdDSA', async t => {
    for (const algorithm of ALGORITHMS) {
      const { issuer, bearer } = await startBefore(t, { algorithm })
      t.equal((await bearer(issuer.token())).status, ['RS256', 'EdDSA'].includes(algorithm) ? 200 : 401, algorithm)
    }
  })

  t.test('its defaults: an issuer with a slash, no audience', async t => {
    const strict = await startBefore(t, {}, code => code.replace(/ {2}issuer: .*\n/, ''))
    t.match(await strict.bearer(strict.issuer.token()), { status: 401, body: { message: /iss claim/ } })
    const lax = await startBefore(t, {}, code => code.replace(/,\n {2}audience: .*\n/, '\n'))
    t.match(await lax.bearer(lax.issuer.wrongAudience()), { status: 200 })
  })

  t.test('it responds with 500 if the JWKS cannot be fetched', async t => {
    for (const kind of ['down', 'error', 'empty'] as const) {
      const { issuer, bearer } = await startBefore(t)
      issuer.fail(kind)
      t.match(await bearer(issuer.token()), { status: 500 }, kind)
    }
  })

  t.test('it accepts a key that has left the JWKS', async t => {
    const { issuer, bearer } = await startBefore(t)
    const token = issuer.token()
    t.match(await bearer(token), { status: 200 })
    issuer.revoke()
    t.match(await bearer(token), { status: 200 })
    t.match(read('node_modules/fastify-jwt-jwks/README.md'), '`secretsTtl`: How long (in milliseconds) to cache ' +
      'RS256 secrets before getting them again using well known JWKS URLS. Setting to 0 or less disables the cache. ' +
      'Defaults to 1 week.')
  })

  t.test('it fetches for each unknown kid', async t => {
    const { issuer, bearer } = await startBefore(t)
    for (let number = 0; number < 40; number++) await bearer(issuer.token({}, { header: { kid: `unknown-${number}` } }))
    t.equal(issuer.requests, 40)
  })
})
