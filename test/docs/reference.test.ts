import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ALGORITHMS, CHANNELS, type BetterAuthOptions } from '../../lib/index.js'
import * as dpopErrors from '../../lib/contract/dpop-errors.js'
import * as errors from '../../lib/contract/errors.js'
import { ERRORS } from '../../lib/contract/error-codes.js'
import { REASONS } from '../../lib/contract/reasons.js'
import { resolveOptions } from '../../lib/contract/resolve-options.js'
import { responseHeaders } from '../../lib/http/error-response.js'
import { parsePage, read } from '../fixtures/docs.js'
import { copyProject, ROOT, start, TSX } from '../fixtures/program.js'

const { devDependencies, engines, peerDependencies, scripts } = JSON.parse(read('package.json')) as
  Record<'devDependencies' | 'engines' | 'peerDependencies' | 'scripts', Record<string, string>>
const GENERATED = ['options', 'errors', 'keys', 'testing'].map(name => `docs/reference/${name}.md`)
const plain = (cell: string | undefined): string => cell!.replace(/<a id="[^"]*"><\/a>/g, '').replaceAll('`', '')

t.test('README is short: the rest is in docs', async t => {
  t.ok(read('README.md').split('\n').length - 1 < 200)
})

t.test('the generated pages are as `npm run docs` writes them', async t => {
  const project = copyProject(t)
  cpSync(join(ROOT, 'docs'), join(project, 'docs'), { recursive: true })
  t.equal(scripts.docs, 'tsx docs/generate.ts')
  const generator = start(t, project, [...TSX, 'docs/generate.ts'])
  t.match(await generator.exit, { code: 0 })
  t.equal(generator.stderr, '')
  for (const page of GENERATED) t.equal(readFileSync(join(project, page), 'utf8'), read(page), page)
})

/** The names that the message about an unknown option lists. */
function known (options: object): string[] {
  try {
    resolveOptions(options as BetterAuthOptions, {})
  } catch (error) {
    return (error as Error).message.split('Known options: ')[1]!.split(', ')
  }
  return []
}

t.test('the reference lists all options with their defaults', async t => {
  const { callbackTimeout, clockTolerance, jwks, openapi, tokenCache } = resolveOptions({}, {})
  const below = (option: string, values: object) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [`${option}.${name}`, value]))
  const defaults = {
    callbackTimeout, clockTolerance, openapi, ...below('jwks', jwks), ...below('tokenCache', tokenCache || {})
  }
  const page = parsePage('docs/reference/options.md')
  const table = [
    'The plugin', 'Keys: `jwks`', 'The token cache: `tokenCache`', 'The session cookie: `sessionCookie`',
    'The exchange: `exchange`', 'OAuth clients: `resource`', 'Bound tokens: `dpop`'
  ].flatMap(heading => page.table(heading))
  const rows = new Map(table.map(([name, , byDefault]) => [plain(name), byDefault!]))
  for (const [name, value] of Object.entries(defaults)) {
    t.ok(rows.get(name)?.startsWith(`\`${typeof value === 'object' ? JSON.stringify(value) : value}\``), name)
  }
  t.equal(plain(rows.get('algorithms')), `all of ${ALGORITHMS.join(', ')}`)
  t.match(rows.get('authUrl'), '`http://localhost:3000`')

  const names = known({ x: 1 }).flatMap(name => {
    const isNested = ['jwks', 'tokenCache', 'sessionCookie', 'exchange', 'resource', 'dpop'].includes(name)
    if (!isNested) return [name]
    const deeper = name === 'exchange'
      ? ['sessionCookie', 'apiKey', 'shared'].flatMap(inner => known({ exchange: { [inner]: { x: 1 } } }))
      : []
    return [name, ...known({ [name]: { x: 1 } }), ...deeper]
  })
  t.strictSame([...rows.keys()].sort(), names.sort())
})

t.test('README shows only options that there are', async t => {
  const names = parsePage('README.md').table('Options').map(([name]) => plain(name))
  t.strictSame(names.filter(name => !known({ x: 1 }).includes(name)), [])
})

t.test('the reference lists what a client sees of each error', async t => {
  const instances = [
    new errors.TokenMissingError(), new errors.RequestInvalidError(), new errors.TokenExpiredError(),
    new errors.TokenInvalidError('token_malformed'), new errors.TokenRevokedError(), new errors.ForbiddenError(),
    new errors.CsrfError(), new errors.RevocationUnavailableError(new Error()),
    new errors.CheckUnavailableError(new Error()), new errors.JwksUnavailableError(2000),
    new errors.ExchangeUnavailableError(2000), new dpopErrors.DpopProofInvalidError('proof_missing'),
    new dpopErrors.DpopUnavailableError('replay_unavailable')
  ]
  t.strictSame(instances.map(({ code }) => code).sort(), Object.keys(ERRORS).sort(), 'these are all')
  const rows = parsePage('docs/reference/errors.md').table('What a client sees').map(cells => cells.map(plain))
  for (const error of instances) {
    const [header = 'none'] = Object.entries(responseHeaders(error)).map(parts => parts.join(': '))
    const shown = header.replace(/^(Retry-After: )\d+$/, '$1<seconds>')
      .replace('Bearer error="invalid_dpop_proof"', 'DPoP error="invalid_dpop_proof"')
    const suffix = error.code === 'FST_BETTER_AUTH_FORBIDDEN' ? ', and scope="<scopes>" if a guard asks for scopes' : ''
    const row = rows.find(([code]) => code === error.code)
    t.strictSame(row, [error.code, String(error.statusCode), error.message, shown + suffix])
  }
})

t.test('the reference explains all reason words', async t => {
  const page = parsePage('docs/reference/errors.md')
  t.strictSame(page.table('Reasons').map(([word]) => plain(word)), Object.keys(REASONS))
  t.ok('token_missing' in REASONS)
  for (const cells of page.table('Reasons')) t.ok(cells.length === 6 && cells.every(cell => cell !== ''), cells[0]!)
  for (const word of Object.keys(REASONS)) t.ok(page.anchors.includes(word), word)
})

t.test('the page on metrics has all channels, and the words in their messages', async t => {
  const source = read('lib/contract/channels.ts')
  const rows = parsePage('docs/operations/metrics.md').table('Channels')
  const key = (cell: string) => /`CHANNELS\.(\w+)`, `(.+)`/.exec(cell)!.slice(1)
  t.strictSame(new Map(rows.map(([cell]) => key(cell!) as [string, string])), new Map(Object.entries(CHANNELS)))
  for (const [, , message] of rows) {
    const [type] = /\w+/.exec(message!)!
    const [, body] = new RegExp(`interface ${type} \\{(.*?)^\\}`, 'ms').exec(source)!
    const fields = [...body!.matchAll(/^ {2}readonly (\w+): (.*)$/gm)]
    t.ok(fields.length > 2)
    for (const [, field, values] of fields) {
      t.match(message, `\`${field}\``)
      for (const [, word] of values!.matchAll(/'(\w+)'/g)) t.match(message, `\`${word}\``)
    }
  }
})

t.test('the page on compatibility says what the package asks for and brings', async t => {
  const versions = parsePage('docs/reference/compatibility.md').table('Versions')
  const rows = new Map(versions.map(([name, value]) => [name, value!.replaceAll('\\|', '|')]))
  t.match(rows.get('Node.js'), `\`${engines.node}\``)
  t.match(read('README.md'), `Node.js \`${engines.node}\``)
  t.match(rows.get('Fastify'), `\`${peerDependencies.fastify}\``)
  t.match(rows.get('Better Auth'), ` to ${devDependencies['better-auth']!.match(/\d+\.\d+/)![0]},`)
  t.match(read('CHANGELOG.md'), `Installed: ${rows.get('Installed')}`)
})
