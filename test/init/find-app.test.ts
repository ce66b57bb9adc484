import t from 'tap'
import { findApp } from '../../lib/init/find-app.js'
import { listFiles } from '../../lib/init/folder.js'
import { readManifest } from '../../lib/init/manifest.js'
import { createFiles, type Files } from '../fixtures/init-project.js'

function find (t: Parameters<typeof createFiles>[0], files: Files, manifest: object = {}) {
  const root = createFiles(t, { ...files, 'package.json': JSON.stringify(manifest) })
  return findApp(root, listFiles(root), readManifest(root, false))
}

t.test('the name of the instance, however it is created', async t => {
  const CASES: Array<[code: string, name: string | undefined]> = [
    ["import Fastify from 'fastify'\nconst app = Fastify()", 'app'],
    ["import Fastify, { type FastifyInstance } from 'fastify'\nconst api: FastifyInstance = Fastify({})", 'api'],
    ["import { fastify } from 'fastify'\nlet server = await fastify()", 'server'],
    ['import { type FastifyRequest, fastify } from "fastify"\nconst f = fastify<Server>({})', 'f'],
    ["import { default as make } from 'fastify'\nconst it = make()", 'it'],
    ["import type { FastifyInstance } from 'fastify'\nimport create from 'fastify'\nexport const x = create()", 'x'],
    ["const Fastify = require('fastify')\nconst app = Fastify()", 'app'],
    ["const { fastify } = require('fastify')\nmodule.exports = () => {\n  const a = fastify()\n}", 'a'],
    ["const fastify = require('fastify')({ logger: true })", 'fastify'],
    ["const s = require('fastify').default({ logger: true })", 's'],
    ["import Fastify = require('fastify')\nconst app = Fastify()", 'app'],
    ["import Fastify from 'fastify'\nexport const build = () => { return Fastify() }", 'app'],
    ["import  { default  as  make }  from  'fastify'\nconst it  =  await  make  <Server>()", 'it'],
    ["import make from'fastify'\nconst it:Server=make()", 'it'],
    ["const  make  =  require(  'fastify'  )\nconst it = make()", 'it'],
    ["const make=require('fastify')\nconst it = make()", 'it'],
    ["const it  =  require(  'fastify'  ).default  ()", 'it'],
    ["const it=require('fastify')()", 'it'],
    ["import type { FastifyPluginAsync } from 'fastify'\nconst x: FastifyPluginAsync = f(1)", undefined],
    ["import { FastifyPluginAsync } from 'fastify'\nexport default app(1)", undefined],
    ["import Fastify from 'fastify'\nexport { Fastify }", undefined],
    ["import path from 'node:path'\nimport x from 'fastify-plugin'\nconst app = x(1)", undefined],
    ["import express from 'express'\nconst app = express()", undefined],
    ["import { FastifyReply } from 'fastify'\nconst app = undefined()", undefined]
  ]
  for (const [code, name] of CASES) t.equal(find(t, { 'x.ts': code })?.name, name, code)
})

t.test('no file keeps init busy', async t => {
  const call = "import f from 'fastify'\nf.x()\n"
  const LONG = [
    '{ fastify ', 'import { default as x ', 'import {', 'import a ', 'import ', '{', `import${' '.repeat(99)}`
  ].map(part => part.repeat(40_000 / part.length))
  const start = performance.now()
  for (const code of [...LONG, call + 'f<'.repeat(20_000), call + 'a:'.repeat(20_000)]) find(t, { 'x.ts': code })
  t.ok(performance.now() - start < 5000)
})

const APP = "const app = require('fastify')()"

t.test('which file is the app', async t => {
  const all = { 'lib/app.js': APP, 'src/deep/other.js': APP, 'a.js': APP, 'index.js': APP, 'web/server.mjs': APP }
  const CASES: Array<[files: Files, manifest: object, path: string | undefined]> = [
    [all, {}, 'index.js'],
    [all, { main: './lib/app.js' }, 'lib/app.js'],
    [all, { main: 'lib/app.js', scripts: { start: 'node --watch "web/server.mjs"' } }, 'web/server.mjs'],
    [all, { main: '../a.js', scripts: { dev: 'x src/deep/other.js' } }, 'src/deep/other.js'],
    [all, { main: 'missing.js' }, 'index.js'],
    [all, { main: 5, scripts: { start: 5, dev: null } }, 'index.js'],
    [{ ...all, 'a\uFEFFb.js': APP }, { main: 'a\uFEFFb.js' }, 'a\uFEFFb.js'],
    [{ 'src/deep/other.js': APP, 'src/main.js': APP }, {}, 'src/main.js'],
    [{ 'test/app.js': APP, 'app.test.js': APP, 'types.d.ts': APP, 'app.txt': APP, '.x/app.js': APP }, {}, undefined],
    [{ 'app.spec.mts': APP, 'app.test.helper.js': APP, 'app.json': APP, '__tests__/app.js': APP }, {}, undefined],
    [{ 'node_modules/x/app.js': APP, 'dist/app.js': APP, 'a/b/c/d/e/f/app.js': APP }, {}, undefined]
  ]
  for (const [files, manifest, path] of CASES) t.equal(find(t, files, manifest)?.path, path)
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`${index}.js`, '']))
  t.equal(find(t, { ...many, 'web/x.js': APP }), undefined, 'it reads no more than 500 files')
  t.equal(find(t, { ...many, 'web/x.js': APP }, { main: 'web/x.js' })?.path, 'web/x.js', 'but any that is named')
})

t.test('an app of fastify-cli is a plugin', async t => {
  const scripts = { start: 'fastify start -l info app.js' }
  const app = find(t, { 'app.js': 'module.exports = async function (fastify) {}' }, { scripts })
  t.match(app, { path: 'app.js', name: 'fastify', isPlugin: true })
  t.match(find(t, { 'app.js': APP }, { scripts }), { name: 'app', isPlugin: false })
  t.equal(find(t, { 'app.js': '' }, { scripts: { start: 'node app.js' } }), undefined)
})
