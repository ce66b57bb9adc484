import t from 'tap'
import { run } from './fixtures/package.js'
import { ROOT } from './fixtures/program.js'

// They are tests, and not steps before them, because they can then run beside others.
t.setTimeout(300_000)

const CHECKS = { typecheck: 'the project compiles', 'test:types': 'the tests of types pass' }

for (const [script, title] of Object.entries(CHECKS)) {
  t.test(`npm run ${script}: ${title}`, async t => {
    const { code, stdout, stderr } = await run(ROOT, ['npm', 'run', '--silent', script], { NO_COLOR: '1' })
    t.equal(code, 0, title, { output: `${stdout}${stderr}`.split('\n') })
  })
}
