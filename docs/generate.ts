// Writes the generated tables of docs/reference: `npm run docs`. They stand between markers; the prose around them is
// written by hand. A test fails while a page is stale.
import { readFileSync, writeFileSync } from 'node:fs'
import ts from 'typescript'
import { ERRORS } from '../lib/contract/error-codes.js'
import {
  API_KEY_OPTIONS, EXCHANGE_OPTIONS, EXCHANGED_COOKIE_OPTIONS, SHARED_EXCHANGE_OPTIONS
} from '../lib/contract/exchange-schemas.js'
import {
  JWKS_OPTIONS, OPTIONS, RESOURCE_OPTIONS, SESSION_COOKIE_OPTIONS, TOKEN_CACHE_OPTIONS
} from '../lib/contract/option-schemas.js'
import { FETCH_FAILURES } from '../lib/contract/fetch-failures.js'
import { MOUNT_OPTIONS } from '../lib/contract/resolve-auth.js'
import { DPOP_OPTIONS } from '../lib/contract/resolve-dpop.js'
import { REASONS } from '../lib/contract/reasons.js'

type Row = readonly string[]

/** A member of an interface, with its doc comment taken apart. */
interface Member {
  readonly name: string
  readonly type: string
  readonly text: string
  readonly byDefault: string | undefined
}

const ROOT = new URL('../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8')

function membersOf (path: string, interfaceName: string): Member[] {
  const source = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true)
  const declaration = source.statements.find((statement): statement is ts.InterfaceDeclaration => {
    return ts.isInterfaceDeclaration(statement) && statement.name.text === interfaceName
  })!
  return declaration.members.map(member => {
    const [comment] = ts.getJSDocCommentsAndTags(member).filter(ts.isJSDoc)
    const all = (ts.getTextOfJSDocComment(comment?.comment) ?? '').replace(/\s+/g, ' ').trim()
    if (all === '') throw new Error(`${interfaceName}.${member.name!.getText()} has no doc comment`)
    const [, text, byDefault] = /^(.*?)(?: ?Default: (.*)\.)?$/.exec(all)!
    const name = member.name!.getText()
    const type = ts.isPropertySignature(member) ? typeOf(member) : member.getText().replace(' (', '(')
    return { name, type, text: linkDocs(text!), byDefault }
  })
}

/** Each option may be `undefined`, which says nothing. */
function typeOf ({ type, questionToken }: ts.PropertySignature): string {
  const text = type!.getText()
  return questionToken === undefined ? text : text.replace(/^(?:\((.*)\)|(.*)) \| undefined$/s, '$1$2')
}

/** Doc comments name pages of docs as seen from the root of the package; the pages are in docs/reference. */
function linkDocs (text: string): string {
  return text.replace(/`docs\/(?:reference\/)?([\w/-]+)\.md`/g, (_, path: string) => {
    return `[${path.split('/').at(-1)!.replaceAll('-', ' ')}](${path.includes('/') ? '../' : ''}${path}.md)`
  })
}

const code = (text: string) => `\`${text}\``
const anchored = (name: string) => `<a id="${name.toLowerCase()}"></a>${code(name)}`
const sentence = (text: string) => text.replace(/^\w/, first => first.toUpperCase()).replace(/[^.]$/, '$&.')

function table (head: Row, rows: readonly Row[]): string {
  const line = (cells: Row) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

/** @param withoutDefault - the default of a member whose doc comment names none. */
function optionRows (
  interfaceName: string, schemas: Record<string, { default?: unknown }>, prefix = '', file = 'options',
  withoutDefault = 'see below'
): Row[] {
  return membersOf(`lib/contract/${file}.ts`, interfaceName).map(({ name, type, text, byDefault }) => {
    const inSchema = schemas[name]!.default
    const isPlain = ['number', 'string', 'boolean'].includes(typeof inSchema)
    if (isPlain && !byDefault?.includes(code(String(inSchema)))) {
      throw new Error(`The default of "${prefix}${name}" is ${String(inSchema)}, and its doc comment says otherwise`)
    }
    return [anchored(prefix + name), code(type), byDefault ?? withoutDefault, text]
  })
}

function testingRows (file: string, interfaceName: string): Row[] {
  return membersOf(`lib/testing/${file}.ts`, interfaceName).map(({ name, type, text, byDefault }) => {
    if (byDefault !== undefined) return [code(name), code(type), byDefault, text]
    return [code(type.startsWith(name) ? type : `${name}: ${type}`), text]
  })
}

/** Members that have no default are required. */
function oauthTokenRows (interfaceName: string): Row[] {
  return membersOf('lib/testing/options.ts', interfaceName).map(({ name, type, text, byDefault = 'required' }) => {
    return [code(name), code(type), byDefault, text]
  })
}

const OPTION_HEAD = ['option', 'type', 'default', 'what it is']

/** Every generated block: the page it is on, its name, and its text. */
const BLOCKS: ReadonlyArray<readonly [page: string, name: string, text: string]> = [
  ['options', 'options', table(OPTION_HEAD, [
    ...optionRows('BetterAuthOptions', OPTIONS), ...optionRows('RoleOptions', OPTIONS, '', 'role-options')
  ])],
  ['options', 'mount', table(OPTION_HEAD, optionRows('MountOptions', MOUNT_OPTIONS, 'mount.', 'auth-options'))],
  ['options', 'jwks', table(OPTION_HEAD, optionRows('JwksOptions', JWKS_OPTIONS, 'jwks.', 'jwks-options'))],
  ['options', 'tokenCache', table(
    OPTION_HEAD, optionRows('TokenCacheOptions', TOKEN_CACHE_OPTIONS, 'tokenCache.', 'token-cache-options')
  )],
  ['options', 'sessionCookie', table(
    OPTION_HEAD,
    optionRows('SessionCookieOptions', SESSION_COOKIE_OPTIONS, 'sessionCookie.', 'session-cookie-options')
  )],
  ['options', 'exchange', table(OPTION_HEAD, [
    ...optionRows('ExchangeOptions', EXCHANGE_OPTIONS, 'exchange.', 'exchange-options'),
    ...optionRows('ExchangedCookieOptions', EXCHANGED_COOKIE_OPTIONS, 'exchange.sessionCookie.', 'exchange-options'),
    ...optionRows('ExchangedApiKeyOptions', API_KEY_OPTIONS, 'exchange.apiKey.', 'exchange-options'),
    ...optionRows('SharedExchangeOptions', SHARED_EXCHANGE_OPTIONS, 'exchange.shared.', 'exchange-options', 'required')
  ])],
  ['options', 'resource', table(
    OPTION_HEAD, optionRows('ResourceOptions', RESOURCE_OPTIONS, 'resource.', 'resource-options', 'required')
  )],
  ['options', 'dpop', table(OPTION_HEAD, optionRows('DpopOptions', DPOP_OPTIONS, 'dpop.', 'dpop-options'))],
  ['errors', 'errors', table(
    ['code', 'status', 'message', 'header'],
    Object.entries(ERRORS).map(([name, { statusCode, message, challenge }]) => [
      code(name), String(statusCode), message, headerOf(statusCode, challenge)
    ])
  )],
  ['errors', 'reasons', table(
    ['reason', 'status', 'code', 'meaning', 'likely cause', 'what to change'],
    Object.entries(REASONS).map(([word, { code: errorCode, meaning, cause, fix }]) => [
      anchored(word), String(ERRORS[errorCode].statusCode), code(errorCode), sentence(meaning), cause, sentence(fix)
    ])
  )],
  ['keys', 'failures', table(
    ['code', 'what happened', 'what to change'],
    Object.entries(FETCH_FAILURES).map(([word, { meaning, fix }]) => [code(word), meaning, sentence(fix)])
  )],
  ['testing', 'issuerOptions', table(OPTION_HEAD, testingRows('options', 'TestIssuerOptions'))],
  ['testing', 'members', table(['member', 'what it is'], testingRows('test-issuer', 'TestIssuer'))],
  ['testing', 'tokenOptions', table(OPTION_HEAD, testingRows('options', 'TestTokenOptions'))],
  ['testing', 'oauthTokenOptions', table(
    OPTION_HEAD, ['TestClientTokenOptions', 'TestAccessTokenOptions'].flatMap(oauthTokenRows)
  )],
  ['testing', 'cookieOptions', table(OPTION_HEAD, testingRows('options', 'TestCookieOptions'))]
]

function headerOf (statusCode: number, challenge: string | null): string {
  if (statusCode === 503) return '`Retry-After: <seconds>`'
  if (challenge === null) return 'none'
  if (challenge === 'none') return '`WWW-Authenticate: Bearer`'
  const scheme = challenge === 'invalid_dpop_proof' ? 'DPoP' : 'Bearer'
  const header = code(`WWW-Authenticate: ${scheme} error="${challenge}"`)
  return challenge === 'insufficient_scope' ? `${header}, and \`scope="<scopes>"\` if a guard asks for scopes` : header
}

for (const [page, name, text] of BLOCKS) {
  const path = `docs/reference/${page}.md`
  const before = read(path)
  const marked = new RegExp(`(<!-- generated: ${name} -->\n).*?(<!-- end -->)`, 's')
  if (!marked.test(before)) throw new Error(`${path} has no block "${name}"`)
  const after = before.replace(marked, (_, start: string, end: string) => `${start}\n${text}\n\n${end}`)
  writeFileSync(new URL(path, ROOT), after)
}

// The index for language models (https://llmstxt.org), out of the one for people.
const INDEX = read('docs/README.md')
const entries = (from: string, to: string) => INDEX.slice(INDEX.indexOf(from), INDEX.indexOf(to))
  .replace(/^\| (\[.+?\]\(.+?\)) \| (.+) \|$/gm, '- $1: $2').split('\n').filter(line => line.startsWith('- ['))
writeFileSync(new URL('docs/llms.txt', ROOT), [
  '# better-auth-fastify',
  '> A Fastify 5 plugin for APIs that trust the users of a Better Auth server: it verifies their tokens with the ' +
    'server\'s own keys, and gives handlers a typed `request.user`.',
  'Register it with `await app.register(betterAuthPlugin, { authUrl })`, then protect routes with ' +
    '`onRequest: [app.authenticate]`. Links are relative to this file.',
  [
    '## Start',
    '',
    '- [README](../README.md): what it does, a quick start, and the most common guards',
    '- [Skill](../skills/better-auth-fastify/SKILL.md): steps, checks and common mistakes for coding agents',
    '- [Documentation](README.md): this index, for people',
    '- [How it works](how-it-works.md): the way of a request'
  ].join('\n'),
  ['## Guides', '', ...entries('**Guides**', '**Operations**')].join('\n'),
  ['## Operations', '', ...entries('**Operations**', '**Reference**')].join('\n'),
  ['## Reference', '', ...entries('**Reference**', '## About')].join('\n'),
  ['## Optional', '', '- [Decisions](decisions.md): why it is built this way'].join('\n')
].join('\n\n') + '\n')
