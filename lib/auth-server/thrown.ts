/** What a log may say about an error of other code. */
export interface Thrown {
  readonly name: string
  readonly code: string | undefined
  /** Only of Better Auth's own errors, which name an option. */
  readonly message: string | undefined
  /** Where it was thrown: the innermost calls. */
  readonly at: readonly string[]
}

const MAX_FRAMES = 8
const FRAME = /^ {4}at [^\n]{1,300}:\d+:\d+\)?$/

/**
 * Describes an error without its message: that of a database error may contain the values of its query, which are
 * credentials.
 */
export function describeThrown (error: unknown): Thrown {
  const { name, code, message, stack } = Object(error) as Record<'name' | 'code' | 'message' | 'stack', unknown>
  const lines = (typeof stack === 'string' ? stack : '').split('\n')
  // The lines of the message come first.
  const first = lines.findLastIndex(line => !FRAME.test(line)) + 1
  return {
    name: word(name) ?? typeof error,
    code: word(code),
    message: name === 'BetterAuthError' && typeof message === 'string' ? message.slice(0, 300) : undefined,
    at: lines.slice(first, first + MAX_FRAMES).map(line => line.trim())
  }
}

function word (value: unknown): string | undefined {
  return typeof value === 'string' && /^\w{1,40}$/.test(value) ? value : undefined
}
