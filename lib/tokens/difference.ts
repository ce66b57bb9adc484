/** Spellings of a URL that people confuse, each with what takes the difference away. */
const SPELLINGS: ReadonlyArray<readonly [difference: string, normalise: (value: string) => string]> = [
  ['spaces around it', value => value.trim()],
  ['a slash at its end', value => value.replace(/\/+$/, '')],
  ['upper and lower case', value => value.toLowerCase()],
  ['http and https', value => value.replace(/^https?:/, '')],
  ['the port', value => value.replace(/:\d+(?=\/|$)/, '')],
  ['the path', value => value.replace(/^(https?:\/\/[^/]+)\/.*/, '$1')]
]

/**
 * In what alone an issuer or audience differs from one that is expected, for the log; `undefined` if they differ in
 * more.
 */
export function findDifference (expected: readonly string[], received: unknown): string | undefined {
  const values = [received].flat().filter(value => typeof value === 'string')
  return SPELLINGS.find(([, normalise]) => {
    return values.some(value => expected.some(one => normalise(one) === normalise(value)))
  })?.[0]
}
