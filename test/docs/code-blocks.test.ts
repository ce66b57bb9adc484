import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transformSync } from 'esbuild'
import t, { type Test } from 'tap'
import { startAuthServer } from '../fixtures/auth-server.js'
import { BLOCKS as ALL, read, TESTED_ELSEWHERE, toProgram, type PageBlock } from '../fixtures/docs.js'
import { runCli } from '../fixtures/doctor.js'
import { copyProject, freePorts, isInstalled, ROOT, start, TSX } from '../fixtures/program.js'

// Which blocks are whole programs, and that all blocks compile. programs.test.ts runs the programs.

type Field = 'bin' | 'dependencies' | 'devDependencies' | 'peerDependencies' | 'scripts'

const manifest = JSON.parse(read('package.json')) as Record<Field, Record<string, string>> & { name: string }
const { bin, dependencies, devDependencies, name: NAME, peerDependencies, scripts } = manifest
const project = copyProject(t)
const BLOCKS = ALL.filter(({ page }) => !TESTED_ELSEWHERE.includes(page))

t.setTimeout(300_000)

/** How the blocks of each language are verified; a block of any other language fails. */
const CHECKS: Record<string, (t: Test, blocks: readonly PageBlock[]) => Promise<void>> = {
  ts: checkPrograms,
  js: checkPrograms,
  sh: checkCommands,
  text: checkOutput,
  python: checkPython,
  mermaid: checkDiagrams
}

const languages = [...new Set(BLOCKS.map(({ language }) => language))]
for (const language of languages) {
  t.test(`code blocks in README and docs: ${language || 'without a language'}`, async t => {
    const check = CHECKS[language]
    if (check === undefined) t.fail(`nothing checks blocks of the language "${language}"`)
    else await check(t, BLOCKS.filter(block => block.language === language))
  })
}

t.test('all blocks compile, those of JavaScript too', async t => {
  const isOurs = ({ code, language }: PageBlock) => language === 'ts' || code.includes("from 'better-auth-fastify'")
  const all = BLOCKS.filter(block => ['ts', 'js'].includes(block.language) && isOurs(block))
  // What a block declares of modules holds for a whole program, so that it is one.
  const alone = all.filter(({ code }) => code.includes('declare module'))
  const programs = [all.filter(block => !alone.includes(block)), ...alone.map(block => [block])]
  for (const [index, program] of programs.entries()) {
    const name = `compiled-${index}`
    mkdirSync(join(project, name))
    program.forEach(({ code, page }, index) => {
      // The name says in an error where the block is.
      writeFileSync(join(project, name, `${page.replace(/\W+/g, '-')}-${index}.ts`), code)
    })
    writeFileSync(join(project, name, 'tsconfig.json'), JSON.stringify({
      extends: '../tsconfig.json', compilerOptions: { rootDir: '..' }, include: ['*.ts']
    }))
  }
  // The newest compiler is by far the fastest.
  const names = programs.map((_, index) => `compiled-${index}`)
  const tsc = start(t, project, [process.execPath, join(ROOT, 'node_modules/typescript-7/bin/tsc'), '-b', ...names])
  const { code } = await tsc.exit
  t.strictSame([tsc.stdout, tsc.stderr, code], ['', '', 0])
})

/** Whether a block must be a whole program: it makes an app, listens or is a test. */
const IS_PROGRAM = /= Fastify\(|\.listen\(|from '(?:node:test|tap|vitest)'/

async function checkPrograms (t: Test, blocks: readonly PageBlock[]): Promise<void> {
  for (const block of blocks) {
    const { code, heading, language, page } = block
    const program = toProgram(block)
    const name = `${page}, ${heading}: ${code.split('\n')[0]}`
    if (!IS_PROGRAM.test(code)) {
      t.equal(program, undefined, `${name}: is a part of a program, and does not say how to start it`)
      continue
    }
    t.test(`${name}: the first line says how to start the program`, async t => {
      if (program === undefined) return t.fail('it does not')
      const { file, command } = program
      const [verb, ...args] = command.split(/ (?=\S+$)/)
      t.strictSame(args, [file])
      const [pattern, verbs] = language === 'js'
        ? [code.includes('require(') ? /\.cjs$/ : /\.mjs$/, ['node', 'node --test', 'node --env-file=.env']]
        : [/\.mts$/, ['npx tsx', 'npx tsx --test', 'npx vitest run']]
      t.match(file, pattern)
      t.ok(verbs.includes(verb!), command)
      if (!program.isTest) t.match(code, /\.listen\(/)
      if (language === 'js') return
      t.throws(() => transformSync(code, { loader: 'js', logLevel: 'silent' }), 'it is not JavaScript')
    })
  }
}

async function checkCommands (t: Test, blocks: readonly PageBlock[]): Promise<void> {
  const packages = Object.keys({ [NAME]: '', ...dependencies, ...devDependencies, ...peerDependencies })
  const [authPort, apiPort] = await freePorts(t)
  const ports = { AUTH_PORT: String(authPort), PORT: String(apiPort) }
  const example = start(t, project, [...TSX, scripts.example!.split(' ').at(-1)!], ports)
  await example.printed(`-i http://localhost:${apiPort}/me\n`)
  const printed = example.stdout.replaceAll(`:${authPort}`, ':3000').replaceAll(`:${apiPort}`, ':3001').split('\n')

  function isKnown (command: string): boolean {
    const [program, verb, ...rest] = command.split(/\s+/)
    if (program === 'npm' && verb === 'install') return rest.every(name => packages.includes(name))
    if (program === 'npm') return Object.hasOwn(scripts, verb === 'run' ? rest[0]! : verb!)
    if (program === 'npx') return Object.hasOwn(bin, verb!)
    if (command === 'echo $TOKEN') return true
    return printed.includes(command)
  }
  const lines = blocks.flatMap(({ code }) => code.trimEnd().split('\n'))
  for (const line of lines) {
    const commands = /^\w+=|^curl /.test(line) ? [line] : line.replace(/\s+# .*/, '').split(/ && | \| /)
    t.strictSame(commands.filter(command => !isKnown(command)), [], line)
  }
  t.match(lines, [/^npm install && npm run example /, /^npm install && npm test /], 'the two commands come first')
  const code = /^npm install && npm run example .*\nnpm install && npm test .*\n$/
  t.match(BLOCKS[0], { page: 'README.md', language: 'sh', code })
}

async function checkOutput (t: Test, blocks: readonly PageBlock[]): Promise<void> {
  const server = await startAuthServer()
  t.teardown(() => server.close())
  const { token } = await server.signUp({ name: 'Ada', email: 'ada@example.com' })
  /** Without what is another each time. A longer port breaks the lines elsewhere. */
  const plain = (output: string) => output.replaceAll(server.origin, 'http://localhost:3000')
    .replace(/ in \d+ ms/, ' in 46 ms').replace(/"[\w-]{32}"/g, '"kid"').replace(/(exp|iat): .*/g, '$1')
    .replace(/\s+/g, ' ')

  const commands = BLOCKS.filter(({ page, language }) => page === 'docs/operations/doctor.md' && language === 'sh')
    .flatMap(({ code }) => [...code.matchAll(/npx better-auth-fastify (.*)/g)])
  t.equal(commands.length, blocks.length)
  for (const [index, [line, args]] of commands.entries()) {
    const { stdout, stderr } = await runCli(args!.replace('http://localhost:3000', server.origin).split(' '), token)
    t.equal(stderr, '')
    // The page may leave out the beginning.
    t.ok(plain(stdout).endsWith(plain(blocks[index]!.code)), line, { printed: plain(stdout) })
  }
}

async function checkPython (t: Test, blocks: readonly PageBlock[]): Promise<void> {
  const skip = isInstalled('python3') ? false : 'python3 is not installed'
  t.test('is Python: it is parsed, not run', { skip }, async t => {
    for (const { code } of blocks) {
      const args = ['-c', 'import ast, sys; ast.parse(sys.stdin.read())']
      const { stderr, status } = spawnSync('python3', args, { input: code, encoding: 'utf8' })
      t.equal(stderr, '')
      t.equal(status, 0)
    }
  })
}

async function checkDiagrams (t: Test, blocks: readonly PageBlock[]): Promise<void> {
  t.test('each line has the form of a line of a sequence diagram: nothing draws it here', async t => {
    for (const { code } of blocks) {
      const [first, ...lines] = code.trimEnd().split('\n').map(line => line.trim()).filter(line => line !== '')
      t.equal(first, 'sequenceDiagram')
      const names = lines.flatMap(line => /^participant (\w+) as [^;#]+$/.exec(line)?.[1] ?? [])
      t.ok(names.length > 1)
      let depth = 0
      for (const line of lines) {
        const [, from, to] = /^(\w+)--?>>(\w+): [^;#]+$/.exec(line) ?? []
        if (from !== undefined) t.ok(names.includes(from) && names.includes(to!), line)
        else if (line === 'end') depth--
        else if (/^(?:alt|opt) [^;#]+$/.test(line)) depth++
        else t.match(line, depth > 0 ? /^(?:else|participant) [^;#]+$/ : /^participant [^;#]+$/)
        t.ok(depth >= 0)
      }
      t.equal(depth, 0)
    }
  })
}
