import { parseObject, type JsonObject } from '../tokens/jws.js'

/** A token, decoded as far as possible. Nothing in it is verified. */
export interface OpenToken {
  readonly segments: number
  readonly header: JsonObject | undefined
  readonly payload: JsonObject | undefined
  /** Whether each segment is base64url as in a JWT: not empty, without padding, in its one encoding. */
  readonly isBase64url: boolean
}

/**
 * Takes a token out of what people paste: with spaces around it, `Bearer` in front, as a cookie among others, or as the
 * response of `GET /api/auth/token`. `cookieName` is the name of the plain session cookie, if it was in one.
 */
export function findToken (text: string): { token: string, notes: string[], cookieName: string | undefined } {
  const notes: string[] = []
  let token = text.replace(/\r?\n$/, '')
  if (token !== token.trim()) notes.push('white space around it was removed')
  token = token.trim()
  const fromJson = findInJson(token)
  if (fromJson !== undefined) {
    token = fromJson
    notes.push('it was taken out of JSON')
  }
  const bare = token.replace(/^(?:authorization: *)?bearer +/i, '')
  if (bare !== token) notes.push('"Bearer" in front of it was removed')
  const { name, value } = /(?<![\w.-])(?<name>[\w.-]*session_(?:data|token))=(?<value>[^;]*)/.exec(bare)?.groups ?? {}
  if (value !== undefined) notes.push('it was taken out of a cookie')
  return { token: value ?? bare, notes, cookieName: name?.endsWith('token') === true ? name : undefined }
}

function findInJson (text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const { token = value } = Object(value) as { token?: unknown }
    return typeof token === 'string' ? token : undefined
  } catch {
    return undefined
  }
}

export function openToken (token: string): OpenToken {
  const segments = token.split('.')
  const isBase64url = segments.every(segment => {
    return segment !== '' && Buffer.from(segment, 'base64url').toString('base64url') === segment
  })
  return { segments: segments.length, header: decode(segments[0]!), payload: decode(segments[1] ?? ''), isBase64url }
}

function decode (segment: string): JsonObject | undefined {
  try {
    return parseObject(Buffer.from(segment, 'base64url'))
  } catch {
    return undefined
  }
}
