import type { FastifyBaseLogger } from 'fastify'
import { JwksFetchError, type JwksSource } from '../auth-server/find-jwks.js'
import type { BetterAuthOptions } from '../contract/options.js'
import { resolveOptions, type ResolvedOptions } from '../contract/resolve-options.js'
import { createKeyStore } from '../keys/key-store.js'
import { accessTokenProfile } from '../tokens/access-token.js'
import { createUserReader } from '../tokens/user-reader.js'
import { examineServer, listKeys } from './examine-server.js'
import { examineToken } from './examine-token.js'
import { findToken } from './pasted-token.js'
import { shownIssuers } from './redact.js'
import type { DoctorFinding, DoctorReport, DoctorToken } from './report.js'
import { aboutAuthUrl, aboutJwks, aboutKeys, aboutSearch } from './server-findings.js'
import { aboutToken } from './token-findings.js'

/**
 * Examines an auth server, and a token if there is one, as an API with these options would.
 *
 * @param pasted - a token as people paste it.
 * @param env - the environment, which may have `BETTER_AUTH_URL`.
 * @throws InvalidOptionError
 */
export async function examine (
  given: BetterAuthOptions, pasted: string | undefined, env: NodeJS.ProcessEnv
): Promise<DoctorReport> {
  const options = resolveOptions(given, env)
  const { authUrl, audience, algorithms } = options
  const issuer = shownIssuers(options.issuer)
  const fallback = env.BETTER_AUTH_URL !== undefined ? 'BETTER_AUTH_URL' : 'default'
  const authUrlFrom = given.authUrl !== undefined ? 'argument' : fallback
  const { tried, jwks, entries } = await examineServer(options)
  const keys = await listKeys(entries ?? [], accessTokenProfile(options, createUserReader()))
  const { token, findings: tokenFindings } = await lookAtToken(pasted, options, entries)
  const findings = [
    ...aboutAuthUrl(options),
    ...aboutSearch(tried),
    ...jwks === null ? [] : aboutJwks(jwks, options),
    ...entries === undefined ? [] : aboutKeys(keys, entries.length),
    ...tokenFindings
  ]
  const ok = !findings.some(({ level }) => level === 'error')
  return { ok, authUrl, authUrlFrom, issuer, audience, algorithms, tried, jwks, keys, token, findings }
}

async function lookAtToken (
  pasted: string | undefined, options: ResolvedOptions, entries: readonly unknown[] | undefined
): Promise<{ token: DoctorToken | null, findings: DoctorFinding[] }> {
  if (pasted === undefined) return { token: null, findings: [] }
  const { token, notes } = findToken(pasted)
  const { authUrl, jwks: policy } = options
  const source: JwksSource = {
    url: null,
    async fetchJwks () {
      if (entries === undefined) throw new JwksFetchError('no_jwks')
      return entries
    }
  }
  const store = createKeyStore({ authUrl, source, policy, log: SILENT, now: Date.now, random: Math.random })
  const examined = { notes, ...await examineToken(token, options, store) }
  return { token: examined, findings: aboutToken(token, examined, options) }
}

/** The report contains what the plugin would log. */
const SILENT = Object.fromEntries(['info', 'warn', 'error'].map(level => {
  return [level, () => {}]
})) as unknown as FastifyBaseLogger
