import t from 'tap'
import { cookieNames } from '../../lib/contract/cookie-names.js'

t.test('the safest name comes first, and a secure cookie has no plain name', async t => {
  t.strictSame(cookieNames('sid', false), ['__Host-sid', '__Secure-sid', 'sid'])
  t.strictSame(cookieNames('sid', true), ['__Host-sid', '__Secure-sid'])
})

t.test('a name as the browser shows it is the only one', async t => {
  for (const name of ['__Host-sid', '__Secure-sid', '__Secure-__Host-sid']) {
    for (const isSecure of [true, false]) t.strictSame(cookieNames(name, isSecure), [name])
  }
})

t.test('only the whole prefix in its own spelling counts', async t => {
  for (const name of ['__host-sid', '__Secure', '__Hostsid', 'x__Host-sid', '__proto__']) {
    t.strictSame(cookieNames(name, false), [`__Host-${name}`, `__Secure-${name}`, name])
  }
})
