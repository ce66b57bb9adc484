import { importLines, pathBetween, syntaxOf, type Syntax } from './code.js'
import type { Project, Runner } from './project.js'
import type { Paths } from './templates.js'

/** The syntax of a test runner. */
interface Dialect {
  readonly imports: ReadonlyArray<readonly [what: string, from: string]>
  /** Before the test. */
  readonly head?: string
  /** The beginning of a test, up to its body. */
  readonly test: (title: string) => string
  /** Calls a function when the test has ended. */
  readonly after: (call: string) => string
  readonly equal: (found: string, expected: string) => string
}

const expectEqual = (found: string, expected: string) => `expect(${found}).toBe(${expected})`

function dialectOf (runner: Runner, language: Project['language'], syntax: Syntax): Dialect {
  const isPlain = syntax !== 'import-require'
  switch (runner) {
    case 'node:test': return {
      imports: [
        ['{ test }', 'node:test'],
        // An assertion that narrows types needs a type of its own.
        isPlain ? ['{ strict as assert }', 'node:assert'] : ['assert', 'node:assert/strict']
      ],
      test: title => `test(${title}, async t => {`,
      after: call => `t.after(() => ${call})`,
      equal: (found, expected) => `assert.equal(${found}, ${expected})`
    }
    case 'tap': return {
      imports: [[isPlain ? 't' : '{ t }', 'tap']],
      test: title => `t.test(${title}, async t => {`,
      after: call => `t.teardown(() => ${call})`,
      equal: (found, expected) => `t.equal(${found}, ${expected})`
    }
    case 'vitest': return {
      imports: [['{ expect, onTestFinished, test }', 'vitest']],
      test: title => `test(${title}, async () => {`,
      after: call => `onTestFinished(async () => { await ${call} })`,
      equal: expectEqual
    }
    case 'jest': return {
      imports: [],
      head: `const closing${language === 'ts' ? ': Array<() => Promise<unknown>>' : ''} = []
afterAll(async () => { for (const close of closing) await close() })

`,
      test: title => `test(${title}, async () => {`,
      after: call => `closing.push(() => ${call})`,
      equal: expectEqual
    }
  }
}

/** A test of the plugin and the route, with real tokens. */
export function testTemplate (project: Project, { plugin, route, test }: Paths): string {
  const { auth, helper, isAutoload, language, runner } = project
  const syntax = syntaxOf(project, true)
  const { imports, head = '', test: begin, after, equal } = dialectOf(runner, language, syntax)
  const from = (to: string) => pathBetween(project, test, to)
  // Its app would have the Better Auth of the project, and the database of that.
  const withHelper = auth === undefined && helper !== undefined && (runner === 'node:test' || runner === 'tap')
  const lines = importLines(syntax, [
    ...imports,
    ['{ createTestIssuer }', 'better-auth-fastify/testing'],
    ...withHelper
      ? [['{ build }', from(helper)] as const]
      : [['Fastify', 'fastify'], ['auth', from(plugin)], ['me', from(route)]] as const
  ])
  const environment = '  process.env.BETTER_AUTH_URL = issuer.authUrl\n'
  const app = `  const app = Fastify()\n  ${after('app.close()')}\n`
  const register = isAutoload && auth === undefined
    ? `${environment}${app}  await app.register(auth)\n`
    : `${app}  await app.register(auth, { authUrl: issuer.authUrl })\n`
  const build = withHelper
    ? `${environment}  const app = await build(t)\n`
    : `${register}  await app.register(me${isAutoload ? ", { prefix: '/me' }" : ''})\n`
  return `${lines}${head}${begin("'GET /me needs a token of the auth server'")}
  // It signs tokens as a Better Auth server does.
  const issuer = await createTestIssuer()
  ${after('issuer.close()')}
${build}
  const anonymous = await app.inject({ url: '/me' })
  ${equal('anonymous.statusCode', '401')}

  const expired = await app.inject({ url: '/me', headers: { authorization: \`Bearer \${issuer.expired()}\` } })
  ${equal('expired.statusCode', '401')}

  const token = issuer.token({ id: 'user_1', name: 'Grace Hopper' })
  const response = await app.inject({ url: '/me', headers: { authorization: \`Bearer \${token}\` } })
  ${equal('response.statusCode', '200')}
  ${equal('response.json().name', "'Grace Hopper'")}
})
`
}
