import t from 'tap'
import { readRetryAfter } from '../../lib/auth-server/retry-after.js'

const NOW = Date.parse('2026-01-01T00:00:00Z')

const CASES: Array<[headers: Record<string, string>, milliseconds: number]> = [
  [{}, 0],
  [{ 'retry-after': '0' }, 0],
  [{ 'retry-after': '1' }, 1000],
  [{ 'Retry-After': '120' }, 120_000],
  [{ 'retry-after': '007' }, 7000],
  [{ 'retry-after': ' 5 ' }, 5000],
  [{ 'retry-after': '99999999999' }, 99_999_999_999_000],
  [{ 'retry-after': '9'.repeat(400) }, Infinity],
  [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
  [{ 'retry-after': 'Thursday, 01-Jan-26 00:00:30 GMT' }, 30_000],
  [{ 'retry-after': 'Wed, 31 Dec 2025 23:59:59 GMT' }, 0],
  [{ 'retry-after': 'soon' }, 0],
  [{ 'retry-after': '' }, 0],
  [{ 'retry-after': '-5' }, 0],
  [{ 'retry-after': '1.5' }, 0],
  [{ 'retry-after': '5, 10' }, 0],
  [{ 'retry-after': '0x10' }, 0],
  [{ 'retry-after': 'NaN' }, 0],
  [{ 'x-retry-after': '10' }, 10_000],
  [{ 'x-retry-after': 'soon' }, 0],
  [{ 'retry-after': '3', 'x-retry-after': '10' }, 3000]
]

t.test('how long a server asks to wait', async t => {
  for (const [headers, milliseconds] of CASES) {
    t.equal(readRetryAfter(new Headers(headers), NOW), milliseconds, JSON.stringify(headers).slice(0, 80))
  }
})
