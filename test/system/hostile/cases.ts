import type { RefusalReason } from '../../../lib/index.js'
import { createClaims, encode, signBytes, signJws, type SigningKey } from '../../fixtures/signing.js'
import type { World } from './world.js'

/** What the log line of a refusal holds, in full. */
export interface LogLine {
  reason: RefusalReason
  claim?: string
  expected?: readonly string[]
  received?: unknown
}

export interface Case {
  name: string
  /** The header lines of the request. */
  lines: string[]
  /** Why it is refused, without and with the option `secret`; the response follows from the reason. */
  log: LogLine
  logWithSecret: LogLine
}

/** Families of hostile requests by what they attack. */
export type Families = Record<string, (world: World) => Case[]>

export function bearer (name: string, jws: string, log: RefusalReason | LogLine, logWithSecret = log): Case {
  return request(name, [`Authorization: Bearer ${jws}`], log, logWithSecret)
}

export function request (name: string, lines: string[], log: RefusalReason | LogLine, logWithSecret = log): Case {
  const line = (of: RefusalReason | LogLine) => typeof of === 'string' ? { reason: of } : of
  return { name, lines, log: line(log), logWithSecret: line(logWithSecret) }
}

export function mismatch (claim: 'iss' | 'aud', origin: string, received: unknown): LogLine {
  return { reason: claim === 'iss' ? 'issuer_mismatch' : 'audience_mismatch', claim, expected: [origin], received }
}

/** Formats a value for the name of a case. */
export function show (value: unknown): string {
  const text = JSON.stringify(value) ?? 'absent'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

export const now = () => Math.floor(Date.now() / 1000)

type Part = Record<string, unknown>

/** A token that is valid except for the given claims and header parameters. */
export function token (world: World, claims: Part = {}, header: Part = {}): string {
  return signJws(world.keys.EdDSA, createClaims(world.origin, claims), header)
}

export function tokenWith (world: World, test: (signature: string) => boolean): string {
  for (let n = 0; ; n++) {
    const jws = token(world, { n })
    if (test(jws.slice(jws.lastIndexOf('.') + 1))) return jws
  }
}

/** The shortest valid token whose length passes the test. */
export function longToken (world: World, test: (length: number) => boolean): string {
  for (let n = 11_800; ; n++) {
    const jws = token(world, { long: 'x'.repeat(n) })
    if (test(jws.length)) return jws
  }
}

/** A valid signature over malformed segments. */
export function signInput (key: SigningKey, input: string): string {
  return `${input}.${encode(signBytes(key, Buffer.from(input, 'latin1')))}`
}

export function withSignature (jws: string, change: (signature: Buffer) => Buffer): string {
  const end = jws.lastIndexOf('.') + 1
  return jws.slice(0, end) + encode(change(Buffer.from(jws.slice(end), 'base64url')))
}

/**
 * Pads JSON with spaces until its length leaves this remainder when divided by three:
 * base64 pads a remainder of 1 with `==`, and of 2 with `=`.
 */
export function spaced (json: string, remainder: number): string {
  return json + ' '.repeat((3 + remainder - json.length % 3) % 3)
}
