import type { FastifyBaseLogger } from 'fastify'
import { accessTokens } from '../tokens/access-token.js'
import type { RefusalReason } from '../contract/errors.js'
import { createJwksSource } from '../auth-server/fetch-jwks.js'
import { createKeyStore } from '../keys/key-store.js'
import { resolveOptions, type BetterAuthOptions, type ResolvedOptions } from '../contract/resolve-options.js'
import { createUserReader } from '../tokens/user-reader.js'
import { findJwks, type Search } from './examine-server.js'
import { listKeys } from './keys.js'
import type { DoctorAddress, DoctorFinding, DoctorJwks, DoctorKey, DoctorReport, DoctorToken } from './report.js'
import { addressAdvice, KEY_ADVICE } from './server-findings.js'
import { duration, printable } from './terminal.js'
import { tokenAdvice, type TokenReason } from './token-findings.js'
import { examineToken, findToken, openToken } from './examine-token.js'

/** A cache that keeps the JWKS for longer than this is worth a word, in seconds: new keys are refused until it is over. */
const LONG = 60
const NOT_FOUND = 'HTTP 404'
/** A token that leaves little room for other headers, in characters. */
const LONG_TOKEN = 15_000

/**
 * Looks at an auth server, and at a token if there is one, as an API with these options would.
 *
 * @param pasted - a token as people paste it.
 * @param env - where `BETTER_AUTH_URL` may be.
 * @throws InvalidOptionError
 */
export async function examine (
  given: BetterAuthOptions, pasted: string | undefined, env: NodeJS.ProcessEnv
): Promise<DoctorReport> {
  const options = resolveOptions(given, env)
  const { authUrl, issuer, audience, algorithms } = options
  const authUrlFrom = given.authUrl !== undefined ? 'argument' : env.BETTER_AUTH_URL !== undefined ? 'BETTER_AUTH_URL' : 'default'
  const search = await findJwks(options)
  const { tried, read: { jwks, entries } = { jwks: null, entries: [] } } = search
  const keys = listKeys(entries, accessTokens(options, createUserReader()))
  const tokenFindings: DoctorFinding[] = []
  const token = pasted === undefined ? null : await lookAtToken(pasted, options, search, tokenFindings)
  const findings = [
    ...aboutAuthUrl(options),
    ...aboutSearch(tried, jwks?.fault === 'too_long' || token?.signature === 'right'),
    ...jwks === null ? [] : aboutJwks(jwks, options),
    ...aboutKeys(keys),
    ...tokenFindings
  ]
  const ok = !findings.some(({ level }) => level === 'error')
  return { ok, authUrl, authUrlFrom, issuer, audience, algorithms, tried, jwks, keys, token, findings }
}

async function lookAtToken (
  pasted: string, options: ResolvedOptions, { read, asked }: Search, findings: DoctorFinding[]
): Promise<DoctorToken | null> {
  if (read?.jwks.fault === 'too_long') {
    const text = 'not looked at: what should be the JWKS is longer than 1 MB'
    findings.push({ level: 'error', about: 'token', text, fix: 'see what is said of the auth server' })
    return null
  }
  const { token, notes } = findToken(pasted)
  const source = createJwksSource(asked, options.jwks.timeout, SILENT)
  const { authUrl, jwks: policy } = options
  const store = createKeyStore({ authUrl, source, policy, log: SILENT, now: Date.now, random: Math.random })
  const examined = { notes, ...await examineToken(token, options, store) }

  const { verdict, header, claims, asCookie } = examined
  const parts: Array<{ name?: string, reason: RefusalReason | null }> = [...header, ...claims]
  // The whole of it, where no part is what it is refused for.
  if (!parts.some(({ reason }) => reason === verdict.reason)) parts.unshift({ reason: verdict.reason })
  for (const { name, reason } of parts) {
    if (reason === null) continue
    const advice = tokenAdvice({ reason: reason as TokenReason, name, token: openToken(token), asCookie, options })
    findings.push({ level: 'error', about: 'token', ...advice })
  }
  if (verdict.reason !== 'token_too_long' && token.length > LONG_TOKEN) {
    findings.push({
      level: 'warning',
      about: 'token',
      text: `it has ${token.length} characters: Node.js answers 431 when all headers of a request are over 16 kB together`,
      fix: 'put less into it: definePayload'
    })
  }
  return examined
}

function aboutAuthUrl ({ authUrl }: ResolvedOptions): DoctorFinding[] {
  const { protocol, hostname } = new URL(authUrl)
  const isLoopback = /^(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname)
  if (protocol === 'https:' || isLoopback) return []
  return [{
    level: 'warning',
    about: 'auth server',
    text: 'it is reached over http: whoever is on the way can put a key of their own into the JWKS, and sign as anyone',
    fix: 'set authUrl to its https address, or keep it within a network that you trust'
  }]
}

/** @param isServed - whether keys may be had, or were had, all the same. */
function aboutSearch (tried: readonly DoctorAddress[], isServed: boolean): DoctorFinding[] {
  if (tried.some(({ found }) => found)) return []
  const answers = [...new Set(tried.map(({ answer }) => answer))]
  // The plugin tries addresses where nothing has to be: any other answer tells more.
  const telling = answers.filter(answer => answer !== NOT_FOUND)
  return (telling.length > 0 ? telling : answers).map(answer => ({
    level: isServed ? 'warning' : 'error',
    about: 'auth server',
    text: `no JWKS was found: ${answer}`,
    fix: addressAdvice(answer)
  }))
}

function aboutJwks (jwks: DoctorJwks, { clockTolerance }: ResolvedOptions): DoctorFinding[] {
  const { fault, ageSeconds, maxAgeSeconds, clockAheadSeconds } = jwks
  const findings: DoctorFinding[] = []
  if (fault === 'unreadable') {
    const text = 'it was found, but when it was read as a whole its answer was no JWKS'
    findings.push({ level: 'error', about: 'JWKS', text, fix: 'look at what answers there' })
  }
  const kept = Math.max(ageSeconds ?? 0, maxAgeSeconds ?? 0)
  if (kept > LONG) {
    findings.push({
      level: 'warning',
      about: 'JWKS',
      text: `a cache keeps it for ${duration(kept)} or more: so long a new key is refused, and a removed key is trusted`,
      fix: 'let caches keep it for a few seconds (max-age=5)'
    })
  }
  const apart = Math.abs(clockAheadSeconds ?? 0)
  // A date has whole seconds.
  if (apart > clockTolerance / 1000 + 1) {
    const side = clockAheadSeconds! > 0 ? 'ahead of' : 'behind'
    findings.push({
      level: 'warning',
      about: 'auth server',
      text: `by the date of its answer its clock is ${duration(apart)} ${side} this one`,
      fix: 'set the clocks right; or there is a cache that does not say how old its answers are'
    })
  }
  return findings
}

function aboutKeys (keys: readonly DoctorKey[]): DoctorFinding[] {
  const findings: DoctorFinding[] = keys.flatMap(({ kid, fault }) => {
    if (fault === null) return []
    const { text, fix } = KEY_ADVICE[fault]
    const name = kid === null ? 'a key without kid' : `"${printable(kid)}"`
    return [{ level: fault === 'private' ? 'error' : 'warning', about: 'key', text: `${name}: ${text}`, fix }]
  })
  if (keys.length > 0 && keys.every(({ fault }) => fault !== null)) {
    const fix = 'see what is said of each; or jwt({ jwks: { keyPairConfig } }) at the auth server'
    findings.push({ level: 'error', about: 'JWKS', text: 'none of its keys is usable', fix })
  }
  return findings
}

/** What the plugin would log is told in the report. */
const SILENT = Object.fromEntries(['info', 'warn', 'error'].map(level => [level, () => {}])) as unknown as FastifyBaseLogger
