import { existsSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { parsePage, read } from '../fixtures/docs.js'
import { ROOT } from '../fixtures/program.js'

const CONTRIBUTING = parsePage('CONTRIBUTING.md')
const FILES = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts')).sort()

/** The room of a file: its first folder, or its own name at the top of lib. */
const roomOf = (file: string): string => file.split('/')[0]!.replace(/\.ts$/, '')

interface Import { readonly target: string, readonly isType: boolean }

/** What a file imports from lib: types, `export … from`, `import()` and `import('…').T` included. */
function importsOf (file: string): Import[] {
  const source = ts.createSourceFile(file, read(`lib/${file}`), ts.ScriptTarget.Latest, true)
  const imports: Import[] = []
  function add (specifier: ts.Node | undefined, isType: boolean): void {
    if (specifier === undefined || !ts.isStringLiteral(specifier) || !specifier.text.startsWith('.')) return
    imports.push({ target: posix.join(posix.dirname(file), specifier.text).replace(/\.js$/, '.ts'), isType })
  }
  function visit (node: ts.Node): void {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node.importClause))
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node))
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return imports
}

function isTypeOnly (clause: ts.ImportClause | ts.ExportDeclaration | undefined): boolean {
  if (clause === undefined || clause.isTypeOnly) return clause !== undefined
  const names = ts.isImportClause(clause) ? clause.namedBindings : clause.exportClause
  const hasDefault = ts.isImportClause(clause) && clause.name !== undefined
  if (hasDefault || names === undefined || !(ts.isNamedImports(names) || ts.isNamedExports(names))) return false
  return names.elements.every(element => element.isTypeOnly)
}

const IMPORTS = new Map(FILES.map(file => [file, importsOf(file)]))

t.test('every import follows the rule in CONTRIBUTING, types included', async t => {
  const [rule] = CONTRIBUTING.blocks.filter(({ code }) => code.startsWith('index · augmentation → plugin → '))
  const tiers = rule!.code.trim().split(/\s+→\s+/).map(names => names.split(/\s+·\s+/))
  const tierOf = (room: string) => tiers.findIndex(rooms => rooms.includes(room))
  const others = ['doctor', 'init', 'testing', 'cli']
  t.strictSame([...new Set(FILES.map(roomOf))].sort(), [...tiers.flat(), ...others].sort(), 'the rooms are these')

  function isAllowed (from: string, to: string, isType: boolean): boolean {
    if (from === to) return true
    if (to === 'doctor') return from === 'cli' || from === 'index'
    if (to === 'init') return from === 'cli'
    if (from === 'init') return to === 'contract'
    if (from === 'cli' || to === 'testing' || to === 'cli') return false
    if (from === 'testing') return isType && to === 'contract'
    if (from === 'doctor') return tierOf(to) > tierOf('plugin')
    // Within its own tier or to the right.
    return tierOf(to) >= tierOf(from)
  }
  t.ok(isAllowed('http', 'tokens', false) && !isAllowed('tokens', 'http', true) && !isAllowed('keys', 'doctor', true))
  t.ok(isAllowed('testing', 'contract', true) && !isAllowed('testing', 'contract', false))
  t.ok(isAllowed('init', 'contract', false) && isAllowed('cli', 'init', false))
  t.notOk(isAllowed('init', 'doctor', true) || isAllowed('doctor', 'init', true) || isAllowed('index', 'init', true))
  t.notOk(isAllowed('doctor', 'plugin', true) || isAllowed('plugin', 'testing', false))

  let count = 0
  for (const [file, imports] of IMPORTS) {
    for (const { target, isType } of imports) {
      t.ok(FILES.includes(target), `${file}: ${target} exists`)
      t.ok(isAllowed(roomOf(file), roomOf(target), isType), `${file} imports ${target}`)
      count++
    }
  }
  t.ok(count > 100, 'the imports were found')
})

t.test('no circle of imports, types included', async t => {
  const done = new Set<string>()
  function follow (file: string, path: readonly string[]): void {
    if (path.includes(file)) {
      t.fail([...path, file].join(' → '))
      return
    }
    if (done.has(file)) return
    for (const { target } of IMPORTS.get(file)!) follow(target, [...path, file])
    done.add(file)
  }
  for (const file of FILES) follow(file, [])
  t.equal(done.size, FILES.length)
})

t.test('no file of lib is longer than 200 lines', async t => {
  for (const file of FILES) t.ok(read(`lib/${file}`).split('\n').length - 1 <= 200, file)
})

/**
 * Files that hold only types, constants or wiring: nothing in them can fail by itself, and the tests of the files that
 * use them fail if they are wrong.
 */
const WITHOUT_TEST = [
  'augmentation.ts',
  // exchange-client.test.ts has all of their tests.
  'auth-server/exchange-health.ts', 'auth-server/exchange-url.ts',
  // fetch-jwks.test.ts and token-exchange.test.ts have all of their tests.
  'auth-server/http-transport.ts', 'auth-server/transport.ts', 'cli.ts', 'contract/algorithms.ts',
  'contract/auth-options.ts', 'contract/auth-types.ts', 'contract/credential-reasons.ts', 'contract/dpop-errors.ts',
  'contract/dpop-options.ts', 'contract/dpop-reasons.ts', 'contract/error-codes.ts', 'contract/exchange-options.ts',
  'contract/exchange-schemas.ts', 'contract/fetch-failures.ts', 'contract/identity.ts', 'contract/jwks-options.ts',
  'contract/option-schemas.ts', 'contract/options.ts', 'contract/permissions.ts', 'contract/principal.ts',
  'contract/reasons.ts',
  // auth-fields.test.ts and resolve-auth.test.ts have all of its tests.
  'contract/record.ts', 'contract/refusal-details.ts',
  // resolve-options.test.ts has its tests.
  'contract/resolve-dpop.ts',
  'contract/resource-options.ts', 'contract/role-options.ts',
  'contract/schema-parts.ts', 'contract/session-cookie-options.ts', 'contract/setup-errors.ts',
  'contract/token-cache-options.ts', 'contract/token-reasons.ts', 'doctor/report.ts',
  // examine-token.test.ts and token-findings.test.ts have all of their tests.
  'doctor/token-advice.ts', 'doctor/token-parts.ts', 'guards/clause.ts',
  // before-head.test.ts and error-response.test.ts have all tests of refusals.ts, mount.test.ts those of the others.
  'http/open-route.ts', 'http/refusals.ts', 'http/web-response.ts',
  // system/exchange.test.ts has its test.
  'index.ts',
  // command.test.ts, plan.test.ts and test-template.test.ts have all of their tests.
  'init/code.ts', 'init/init-error.ts', 'init/manifest.ts', 'init/project.ts', 'init/report.ts',
  'init/templates.ts', 'instance.ts',
  // proof.test.ts and system/short/dpop.test.ts have all of their tests.
  'schemes/dpop/proof-key.ts', 'schemes/dpop/replay.ts', 'schemes/dpop/target-uri.ts',
  'schemes/exchange-status.ts', 'schemes/scheme.ts', 'testing/index.ts', 'testing/test-issuer.ts',
  'tokens/opaque-credential.ts'
]

t.test('the tests mirror lib: lib/x/y.ts has test/x/y.test.ts', async t => {
  const without = FILES.filter(file => !existsSync(join(ROOT, 'test', file.replace(/\.ts$/, '.test.ts'))))
  t.strictSame(without, WITHOUT_TEST)
})

t.test('every test file of a room runs: test/rooms has each folder that mirrors lib', async t => {
  const folders = readdirSync(join(ROOT, 'test'), { withFileTypes: true })
    .filter(entry => entry.isDirectory()).map(({ name }) => name)
  const others = ['docs', 'examples', 'fixtures', 'matrix', 'mutation', 'package', 'rooms', 'system', 'types']
  const runners = folders.filter(name => !others.includes(name)).sort().map(room => {
    return [`${room}.test.ts`, `import { runRoom } from '../fixtures/room.js'\n\nrunRoom('${room}')\n`]
  })
  const found = readdirSync(join(ROOT, 'test/rooms')).sort().map(file => [file, read(`test/rooms/${file}`)])
  t.strictSame(found, runners)
  t.match(read('.taprc'), '\n  - test/rooms/*.test.ts\n')
})

t.test('CONTRIBUTING names every room', async t => {
  const named = CONTRIBUTING.table('The rooms of `lib`').map(([room]) => room!.replace(/[`/]/g, ''))
  const rooms = readdirSync(join(ROOT, 'lib'), { withFileTypes: true })
    .filter(entry => entry.isDirectory()).map(({ name }) => name)
  t.strictSame(named.sort(), rooms.sort())
})
