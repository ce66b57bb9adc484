import t from 'tap'
import { readFlag, readTime } from '../../lib/tokens/columns.js'

t.test('a flag', async t => {
  for (const value of [true, 1, '1', 'true']) t.equal(readFlag(value), true, JSON.stringify(value))
  for (const value of [false, 0, '0', 'false', -0]) t.equal(readFlag(value), false, JSON.stringify(value))
  for (const value of [undefined, null]) t.equal(readFlag(value), undefined)
  for (const value of ['TRUE', 'True', ' true', 'yes', 't', 'on', '', '01', 2, -1, 0.5, NaN, {}, [], [true]]) {
    t.equal(readFlag(value), null, JSON.stringify(value))
  }
})

t.test('a time', async t => {
  const time = Date.UTC(2026, 0, 2, 3, 4, 5)
  for (const [value, expected] of [
    ['2026-01-02T03:04:05.000Z', time], ['2026-01-02T03:04:05Z', time], ['2026-01-02T04:04:05+01:00', time],
    ['2026-01-02 03:04:05', time], ['2026-01-02 03:04:05.678', time + 678], ['2026-01-02 03:04:05.678901', time + 678],
    ['2026-01-02T03:04:05.6789012345', time + 678],
    ['2026-01-02T03:04:05', time], ['2026-01-02 04:04:05+01', time], ['2026-01-02 04:04:05 +0100', time],
    ['2026-01-02 03:04', time - 5000], ['2026-01-01', Date.UTC(2026, 0, 2)],
    [time, time], [time / 1000, time], [`${time}`, time], [`${time / 1000}`, time],
    [1e9, 1e12], [1e12, 1e12], [8.64e15, 8.64e15], [99_999_999_999, 99_999_999_999_000]
  ] as const) t.equal(readTime(value), expected, JSON.stringify(value))
  for (const value of [
    undefined, null, true, {}, [], [time], '', 'soon', 'never', '0', '1', '2020', '1e12', ' 2026-01-02', '2026-13-01',
    'x2026-01-02T03:04:05Z',
    '2026-01-02T25:00:00Z', '2026-01-02T', '2026-01-02 03', 'Jan 2, 2020', '2026-01-02T03:04:05 GMT', '100000000000',
    `${time}0`,
    0, -1, 1, 999_999_999, 1e11, 5e11, 8.65e15, NaN, Infinity, -Infinity
  ]) t.ok(Number.isNaN(readTime(value)), JSON.stringify(value))
})
