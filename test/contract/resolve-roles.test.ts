import t from 'tap'
import { resolveRoles } from '../../lib/contract/resolve-roles.js'
import { InvalidOptionError, type AccessRole } from '../../lib/index.js'

const authorize = (): { success: boolean } => ({ success: true })
const resolve = (roles: unknown) => resolveRoles(roles as Record<string, AccessRole> | undefined)

t.test('roles are copied by name, with the actions that they have', async t => {
  t.equal(resolve(undefined), undefined)
  const actions = ['create']
  const role = { authorize: function (this: unknown, request: unknown) { return [this, request] }, allowed: true }
  const roles = resolve({ editor: { ...role, statements: { project: actions } }, 'content editor': role })!
  actions.push('delete')
  t.strictSame([...roles.keys()], ['editor', 'content editor'])
  t.strictSame([...roles.get('editor')!.actions!], [['project', ['create']]])
  t.equal(roles.get('content editor')!.actions, undefined)
  t.strictSame(roles.get('content editor')!.authorize({ a: ['b'] }), [role, { a: ['b'] }], 'it is called as a method')
  t.equal(roles.get('constructor'), undefined)
  for (const statements of [undefined, null, 'project', { project: 'create' }, { project: ['create'], team: null }]) {
    t.equal(resolve({ editor: { authorize, statements } })!.get('editor')!.actions, undefined)
  }
})

t.test('roles that are not role objects are refused', async t => {
  const named = 'Option "roles" must be an object with names of roles, without commas or surrounding spaces, got '
  const object = 'Option "roles.admin" must be a role object of Better Auth, made with newRole(), got '
  for (const [roles, message] of [
    [{}, 'Option "roles" must be a non-empty object with role objects of Better Auth by name, such as ' +
      '{ editor: ac.newRole({ … }) }, got {}'],
    ...['', ' ', ' a', 'a ', 'a,b', 'a\n'].map(name => [{ [name]: { authorize } }, named]),
    ...[undefined, null, 'all', {}, { authorize: true }].map(role => [{ admin: role }, object])
  ] as Array<[object, string]>) {
    t.throws(() => resolve(roles), InvalidOptionError)
    let text = ''
    try { resolve(roles) } catch (error) { text = (error as Error).message }
    t.ok(text.startsWith(message), text)
  }
})
