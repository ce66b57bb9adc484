import t from 'tap'
import { findRoute } from '../../lib/init/find-route.js'
import { listFiles } from '../../lib/init/folder.js'
import { createFiles, type Files } from '../fixtures/init-project.js'

function find (t: Parameters<typeof createFiles>[0], files: Files, isAutoload = false, source = '') {
  const root = createFiles(t, files)
  return findRoute(root, listFiles(root), { isAutoload, source }, { route: `${source}routes/me.js` })
}

t.test('finds a route GET /me by its text', async t => {
  for (const text of [
    "app.get('/me', handler)", 'app.get("/me", handler)', 'fastify.get<{ Reply: User }>(`/me`, handler)',
    "app.get(\n  '/me/',\n  handler)", "app.all('/me', handler)", "app.route({ method: 'GET', url: '/me', handler })",
    "app.route({ method:'GET',url:'/me',handler })", "app.get  <Me>(  '/me', handler)"
  ]) {
    t.equal(find(t, { 'a.js': '', 'src/b.js': text }), 'src/b.js', text)
  }
  for (const text of [
    "app.get('/members', handler)", "app.post('/me', handler)", "app.get('/users/me', handler)", "get('/me')",
    "fetch({ path: '/me' })"
  ]) {
    t.equal(find(t, { 'a.js': text }), undefined, text)
  }
})

t.test('neither the route of init itself nor a test is one', async t => {
  const text = "app.get('/me', handler)"
  t.equal(find(t, { 'routes/me.js': text, 'test/a.js': text, 'a.test.js': text, 'a.md': text }), undefined)
})

t.test('with @fastify/autoload, the folder is the path', async t => {
  const files = { 'src/routes/me/root.js': "fastify.get('/', handler)" }
  t.equal(find(t, files, true, 'src/'), 'src/routes/me/root.js')
  t.equal(find(t, files, false, 'src/'), undefined)
  t.equal(find(t, { 'src/routes/users/index.js': '' }, true, 'src/'), undefined)
})

t.test('it reads no more than 500 files', async t => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`${index}.js`, '']))
  t.equal(find(t, { ...many, 'x.js': "app.get('/me', handler)" }), undefined)
})
