import t from 'tap'
import { isLoopback, isPrivate } from '../../lib/contract/hosts.js'

const hostOf = (url: string) => new URL(url).hostname

t.test('loopback', async t => {
  for (const host of ['localhost', 'auth.localhost', 'a.b.localhost', '127.0.0.1', '127.10.20.30', '[::1]']) {
    t.equal(isLoopback(hostOf(`http://${host}:3000`)), true, host)
    t.equal(isPrivate(hostOf(`http://${host}`)), true, host)
  }
  for (const host of [
    'localhost.example.com', 'notlocalhost', '128.0.0.1', '[1::1]', '127.0.0.1.example.com', '[::2]'
  ]) {
    t.equal(isLoopback(hostOf(`http://${host}`)), false, host)
  }
})

t.test('private by its address or its name', async t => {
  for (const host of [
    '10.0.0.1', '10.10.20.30', '192.168.10.20', '172.16.0.1', '172.20.1.1', '172.30.1.1', '172.31.255.1',
    '169.254.1.1', '[fc00::1]', '[fd00::1]', '[fe80::1]', '[fe90::1]', '[fea0::1]', '[feb0::1]', 'auth',
    'auth.internal', 'auth.internal.', 'auth.local', 'auth.lan', 'auth.intranet', 'auth.test', 'auth.default.svc',
    'auth.default.svc.cluster.local', 'nas.home.arpa'
  ]) t.equal(isPrivate(hostOf(`http://${host}`)), true, host)
  for (const host of [
    'id.example.com', '8.8.8.8', '172.15.0.1', '172.32.0.1', '192.169.0.1', '169.253.1.1', '110.0.0.1',
    '11.0.0.1', '1.192.168.1', '[2001:db8::1]', '[fe00::1]', '[fec0::1]', '[1:fd00::1]', 'internal.example.com',
    '10.example.com', '192.168.example.com', '10.0.0.1.example.com', '192.168.0.1.example.com', 'mylocal.com',
    'auth.local.example.com', 'auth.svc.example.com'
  ]) t.equal(isPrivate(hostOf(`http://${host}`)), false, host)
})
