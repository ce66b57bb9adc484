import t from 'tap'
import {
  ALGORITHMS, CHANNELS, CsrfError, ForbiddenError, JwksUnavailableError, RequestInvalidError,
  RevocationUnavailableError, TokenExpiredError, TokenInvalidError, TokenMissingError, TokenRevokedError,
  type BetterAuthOptions
} from '../../lib/index.js'
import { resolveOptions } from '../../lib/options.js'
import { parsePage, read } from '../fixtures/docs.js'

const { devDependencies, engines, peerDependencies } = JSON.parse(read('package.json')) as
  Record<'devDependencies' | 'engines' | 'peerDependencies', Record<string, string>>

t.test('README is short: the rest is in docs', async t => {
  t.ok(read('README.md').split('\n').length - 1 < 200)
})

/** The names that the message about an unknown option lists. */
function known (options: object): string[] {
  try {
    resolveOptions(options as BetterAuthOptions, {})
  } catch (error) {
    // lead: generated page (the text becomes "Known options: a, b, c")
    return (error as Error).message.split('the options are ')[1]!.split(', ')
  }
  return []
}

// lead: generated page
t.test('the reference lists all options with their defaults', async t => {
  const { clockTolerance, jwks, openapi, tokenCache } = resolveOptions({}, {})
  const below = (option: string, values: object) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [`${option}.${name}`, value]))
  const plain = { clockTolerance, openapi, ...below('jwks', jwks), ...below('tokenCache', tokenCache || {}) }
  const table = parsePage('docs/reference/options.md').table('Options')
  const rows = new Map(table.map(([name, byDefault]) => [name!.replaceAll('`', ''), byDefault!]))
  for (const [name, value] of Object.entries(plain)) t.match(rows.get(name), new RegExp(`^\`${value}\``), name)
  t.equal(rows.get('algorithms')!.replaceAll('`', ''), ALGORITHMS.join(', '))
  t.match(rows.get('authUrl'), '`http://localhost:3000`')

  const names = known({ x: 1 }).flatMap(name =>
    ['jwks', 'tokenCache', 'sessionCookie'].includes(name) ? known({ [name]: { x: 1 } }) : [name])
  // It is also an option by itself: `sessionCookie: true`.
  names.push('sessionCookie')
  t.strictSame([...rows.keys()].sort(), names.sort())
})

t.test('README shows only options that there are', async t => {
  const names = parsePage('README.md').table('Options').map(([name]) => name!.replaceAll('`', ''))
  t.strictSame(names.filter(name => !known({ x: 1 }).includes(name)), [])
})

// lead: generated page
t.test('the reference lists all answers', async t => {
  const errors = [
    new TokenMissingError(), new RequestInvalidError(), new TokenExpiredError(),
    new TokenInvalidError('token_malformed'), new TokenRevokedError(), new ForbiddenError(),
    new ForbiddenError('scope_missing', ['<scopes>']), new CsrfError(),
    new RevocationUnavailableError(new Error()), new JwksUnavailableError(2000)
  ]
  const rows = parsePage('docs/reference/errors.md').table('Answers').slice(1)
    .map(cells => cells.slice(1).map(cell => cell.replaceAll('`', '')))
  t.strictSame(rows, errors.map(({ statusCode, code, message, headers }) => [
    String(statusCode), code, message, Object.entries(headers).map(header => header.join(': ')).join('') || 'none'
  ]).with(-1, ['503', 'FST_BETTER_AUTH_JWKS_UNAVAILABLE', 'Auth service unreachable', 'Retry-After: <seconds>']))
  t.strictSame(errors.at(-1)!.headers, { 'Retry-After': '2' })
})

// lead: generated page
t.test('the reference explains all reason words', async t => {
  const words = [...read('lib/errors.ts').matchAll(/^ {2}\| '(\w+)'$/gm)].map(match => match[1]!)
  t.ok(words.includes('token_missing'))
  const page = parsePage('docs/reference/errors.md')
  t.strictSame(page.table('Log').map(([word]) => word!.replaceAll('`', '')), words)
  const mentioned = page.table('Troubleshooting').flatMap(([word]) => word!.replaceAll('`', '').split(', '))
  t.strictSame(mentioned.filter(word => !words.includes(word)), [])
})

t.test('the page on metrics has all channels, and the words in their messages', async t => {
  const source = read('lib/diagnostics.ts')
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
  t.match(rows.get('Better Auth'), `tested with ${devDependencies['better-auth']!.match(/\d+\.\d+/)![0]},`)
  t.match(read('CHANGELOG.md'), `Installed: ${rows.get('Installed')}`)
})
