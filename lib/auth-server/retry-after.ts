/**
 * How long a server asks its clients to wait, in milliseconds; 0 if it does not. `Retry-After` (RFC 9110 §10.2.3) has
 * seconds or a date. Better Auth's own rate limiter sends seconds as `X-Retry-After`.
 *
 * @param now - milliseconds since the epoch, for a date.
 */
export function readRetryAfter (headers: Headers, now: number): number {
  const value = headers.get('retry-after') ?? headers.get('x-retry-after') ?? ''
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? 0 : Math.max(0, date - now)
}
