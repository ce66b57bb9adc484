// Runs the tests of a room for Stryker in one process, and imports a fresh copy of them and of lib for each mutant: a
// process takes longer to start than most test files take to run. If a mutant hangs, it ends the process; Stryker does
// if the mutant keeps the process busy, but knows less about how long a test file takes.
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin'
import {
  determineHitLimitReached, DryRunStatus, MutantRunStatus, TestStatus, toMutantRunResult
} from '@stryker-mutator/api/test-runner'

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url))

/** How many the process has while nothing runs. */
let resources

/** They read what Stryker's copy of the project lacks, or the source of lib, which Stryker has changed. */
const NOT_IN_COPY = ['the compiled program', 'exports one function, and shares no code with the verifier that it tests']

/** How long each test file took without a change, in milliseconds, for the processes that follow. `''`: the start. */
const TIMES = 'room-times.json'

class RoomRunner {
  #tap
  #runs = 0
  #times = {}
  #isHanging = false
  /** Stryker's instrumented code reads and writes it. */
  #mutants = globalThis.__stryker__ ??= {}
  #files = readdirSync(join('test', process.env.ROOM), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.test.ts') && new RegExp(process.env.TESTS ?? '').test(file)).sort()

  capabilities () {
    return { reloadEnvironment: true }
  }

  /** The working directory is Stryker's copy of the project, which lacks what is ignored. */
  async init () {
    for (const name of readdirSync(FIXTURES)) {
      const [from, to] = [join(FIXTURES, name, 'node_modules'), resolve('test/fixtures', name, 'node_modules')]
      if (existsSync(from) && !existsSync(to)) symlinkSync(from, to)
    }
    await import(pathToFileURL(resolve('test/fixtures/typescript-loader.js')).href)
    register('./fresh-copies.js', import.meta.url)
    // tap takes the channel to Stryker for one to a tap that started it.
    const send = process.send.bind(process)
    process.send = message => typeof message === 'string' ? send(message) : true
    const { default: tap } = await import('tap')
    tap.setTimeout(0)
    resources = process.getActiveResourcesInfo().length
    if (existsSync(TIMES)) this.#times = JSON.parse(readFileSync(TIMES, 'utf8'))
    // tap ends when it has nothing to do, so this test never does.
    await new Promise(resolve => {
      tap.test('all', t => {
        this.#tap = t
        resolve()
        return new Promise(() => {})
      })
    })
  }

  async dryRun () {
    const tests = []
    // The first file loads the packages and the compiler, and the times decide when a mutant hangs.
    const { timeSpentMs } = await this.#run(this.#files[0])
    // What this run covered, outside of any test, would count as covered by each.
    this.#mutants.mutantCoverage = undefined
    for (const file of this.#files) {
      this.#mutants.currentTestId = file
      tests.push(await this.#run(file))
    }
    this.#mutants.currentTestId = undefined
    this.#times = Object.fromEntries([['', timeSpentMs], ...tests.map(({ id, timeSpentMs }) => [id, timeSpentMs])])
    writeFileSync(TIMES, JSON.stringify(this.#times))
    return { status: DryRunStatus.Complete, tests, mutantCoverage: this.#mutants.mutantCoverage }
  }

  async mutantRun ({ activeMutant: { id, fileName }, testFilter = this.#files, hitLimit }) {
    // Stryker starts another process, and tries again there.
    if (this.#isHanging) throw new Error('The mutant before hangs')
    Object.assign(this.#mutants, { activeMutant: id, hitCount: 0, hitLimit })
    // For the processes that a test starts.
    process.env.__STRYKER_ACTIVE_MUTANT__ = id
    const tests = []
    for (const file of this.#byChance(fileName, testFilter)) {
      const test = await this.#unlessHanging(file)
      if (test === undefined) return { status: MutantRunStatus.Timeout }
      tests.push(test)
      const reached = determineHitLimitReached(this.#mutants.hitCount, hitLimit)
      if (reached !== undefined) return reached
      if (test.status === TestStatus.Failed) break
    }
    return toMutantRunResult({ status: DryRunStatus.Complete, tests })
  }

  /** The tests of the mutated file come first, then the fast ones: the first failure ends the run. */
  #byChance (mutated, files) {
    const rank = file => mutated.endsWith(file.replace('.test.ts', '.ts')) ? 0 : this.#times[file]
    return [...files].sort((a, b) => rank(a) - rank(b))
  }

  /** @returns `undefined` if it takes much longer than without a change. */
  async #unlessHanging (file) {
    const usual = this.#times[file] + (this.#runs === 0 ? this.#times[''] : 0)
    const hanging = new AbortController()
    const run = this.#run(file).finally(() => { hanging.abort() })
    const isOver = setTimeout(5000 + 3 * usual, true, { signal: hanging.signal, ref: false }).catch(() => false)
    this.#isHanging = await Promise.race([run.then(() => false), isOver])
    return this.#isHanging ? undefined : run
  }

  async #run (file) {
    const start = performance.now()
    const run = String(++this.#runs)
    const failures = []
    let idle
    const { ok } = await this.#tap.test(file, async t => {
      globalThis.__room__ = { ...globalThis.__room__, [run]: untilFailure(t, failures) }
      await import(`${pathToFileURL(resolve('test', process.env.ROOM, file)).href}?run=${run}`)
      idle = endIfIdle(t)
    })
    clearInterval(idle)
    const timeSpentMs = Math.round(performance.now() - start)
    delete globalThis.__room__[run]
    return {
      id: file,
      name: file,
      fileName: resolve('test', process.env.ROOM, file),
      timeSpentMs,
      ...ok
        ? { status: TestStatus.Success }
        : { status: TestStatus.Failed, failureMessage: failures.join(', ') || 'failed' }
    }
  }
}

/** tap ends a test that waits for nothing at the end of the process, and this one does not end. */
function endIfIdle (t) {
  let [idle, before] = [0, process.cpuUsage()]
  return setInterval(() => {
    const { user, system } = process.cpuUsage(before)
    before = process.cpuUsage()
    // Node.js does not list what its threads do for `crypto`.
    const isBusy = process.getActiveResourcesInfo().length > resources || user + system > 5000
    idle = isBusy ? 0 : idle + 1
    if (idle === 20) t.endAll()
  }, 100).unref()
}

/** After a failure, the other tests of the file change nothing. */
function untilFailure (t, failures) {
  t.on('subtestEnd', ({ name, passing }) => { if (!passing()) failures.push(name) })
  return new Proxy(t, {
    get (_, key) {
      const value = Reflect.get(t, key, t)
      if (key !== 'test') return typeof value === 'function' ? value.bind(t) : value
      return (...args) => {
        const [title, run] = [args[0], args.at(-1)]
        const isSkipped = () => failures.length > 0 || NOT_IN_COPY.includes(title)
        return t.test(...args.slice(0, -1), async t => isSkipped() || run(untilFirst(t)))
      }
    }
  })
}

/** After a failed assertion, the rest of its test changes nothing either. */
function untilFirst (t) {
  return new Proxy(t, {
    get (_, key) {
      const value = Reflect.get(t, key, t)
      if (typeof value !== 'function') return value
      return (...args) => {
        const returned = value.apply(t, args)
        if (returned === false) throw new Error(`${key}() failed`)
        return returned
      }
    }
  })
}

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, 'room', RoomRunner)]
