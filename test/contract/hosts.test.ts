import t from 'tap'
import { isLoopback, isPrivate } from '../../lib/contract/hosts.js'

const hostOf = (url: string) => new URL(url).hostname

t.test('loopback', async t => {
  for (const host of ['localhost', 'auth.localhost', '127.0.0.1', '127.1.2.3', '[::1]']) {
    t.equal(isLoopback(hostOf(`http://${host}:3000`)), true, host)
    t.equal(isPrivate(hostOf(`http://${host}`)), true, host)
  }
  for (const host of ['localhost.example.com', 'notlocalhost', '128.0.0.1', '127.0.0.1.example.com', '[::2]']) {
    t.equal(isLoopback(hostOf(`http://${host}`)), false, host)
  }
})

t.test('private by its address or its name', async t => {
  for (const host of [
    '10.0.0.1', '192.168.1.1', '172.16.0.1', '172.31.255.1', '169.254.1.1', '[fd00::1]', '[fe80::1]', 'auth',
    'auth.internal', 'auth.local', 'auth.default.svc', 'auth.default.svc.cluster.local', 'nas.home.arpa'
  ]) t.equal(isPrivate(hostOf(`http://${host}`)), true, host)
  for (const host of [
    'id.example.com', '8.8.8.8', '172.15.0.1', '172.32.0.1', '192.169.0.1', '[2001:db8::1]', 'internal.example.com',
    '10.example.com', '192.168.example.com', 'mylocal.com'
  ]) t.equal(isPrivate(hostOf(`http://${host}`)), false, host)
})
