// One room of lib against its own tests: `ROOM=keys npx stryker run test/mutation/stryker.config.js`.
const { ROOM: room, REPORT: report = room, SAMPLE: sample = '100', FILES: files = '**/*.ts' } = process.env

export default {
  testRunner: 'room',
  plugins: ['./test/mutation/room-runner.js', './test/mutation/sample.js', './test/mutation/survivors.js'],
  checkers: sample !== '100' ? ['sample'] : [],
  mutate: files.split(',').map(file => `lib/${room}/${file}`),
  coverageAnalysis: 'perTest',
  // The words of messages are checked by the tests of docs/, and a message with other words is no wrong verdict.
  mutator: { excludedMutations: ['StringLiteral'] },
  ignorePatterns: ['/bench', '/dist', '/examples', '/.tap', '/.stryker', '/test/fixtures/*/node_modules'],
  tempDirName: '.stryker/tmp',
  incremental: true,
  incrementalFile: `.stryker/${report}.json`,
  reporters: ['survivors', 'progress-append-only'],
  disableTypeChecks: false,
  concurrency: Number(process.env.CONCURRENCY ?? 2),
  // Copies of modules stay in memory.
  maxTestRunnerReuse: 100,
  timeoutMS: 3_000,
  // A machine may be busy with other things.
  dryRunTimeoutMinutes: 20
}
