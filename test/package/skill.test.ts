import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { read } from '../fixtures/docs.js'
import { createProject, install, pack, run } from '../fixtures/package.js'
import { ROOT } from '../fixtures/program.js'
import { startIssuer } from '../fixtures/test-issuer.js'

// An agent that follows skills/better-auth-fastify/SKILL.md to the letter, in an empty folder.

const SKILL = read('skills/better-auth-fastify/SKILL.md')

interface Step { readonly language: string, readonly code: string }
const STEPS: Step[] = [...SKILL.matchAll(/^( *)```(\w+)\n(.*?)^ *```$/gms)].map(([, indent, language, code]) => ({
  language: language!, code: code!.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
}))

t.setTimeout(300_000)

t.test('the front matter is as agents read it', async t => {
  const [, name, description] = /^---\nname: ([a-z-]+)\ndescription: (.+)\n---\n/.exec(SKILL) ?? []
  t.equal(name, 'better-auth-fastify')
  t.ok(description!.length > 100 && description!.length < 1024)
})

t.test('every page of docs that it names exists', async t => {
  const pages = [...SKILL.matchAll(/`(docs\/[\w/-]+\.md)`/g)].map(([, page]) => page!)
  t.ok(pages.length > 2)
  for (const page of pages) t.ok(existsSync(join(ROOT, page)), page)
})

t.test('its steps lead to a test that passes, and to a server that the doctor approves of', async t => {
  const project = createProject(t)
  const issuer = await startIssuer(t)
  const { path } = await pack(project)
  const env = { ...process.env, BETTER_AUTH_URL: issuer.authUrl, TOKEN: issuer.token({ role: 'user' }), NO_COLOR: '1' }
  const done: string[] = []
  for (const { language, code } of STEPS) {
    const file = /^\/\/ (\S+)\n/.exec(code)?.[1]
    if (language === 'js') {
      writeFileSync(join(project, file!), code)
      done.push(file!)
    } else if (code.startsWith('npm install ')) {
      const packages = code.trim().split(' ').slice(2)
      await install(project, packages.map(name => name === 'better-auth-fastify' ? path : name))
      done.push('npm install')
    } else {
      const { code: status, stdout, stderr } = await run(project, ['bash', '-c', code], env)
      t.equal(status, 0, `${code}${stdout}${stderr}`)
      done.push(code.trim().split(' ').slice(0, 3).join(' '))
    }
  }
  t.strictSame(done, [
    'npm install', 'app.mjs', 'server.mjs', 'app.test.mjs', 'node --test app.test.mjs',
    'npx better-auth-fastify doctor', 'echo "$TOKEN" |'
  ])
})
