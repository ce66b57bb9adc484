import type { FastifyBaseLogger } from 'fastify'
import { JwksFetchError, type JwksSource } from '../auth-server/find-jwks.js'
import type { BetterAuthOptions } from '../contract/options.js'
import { resolveOptions, type ResolvedOptions } from '../contract/resolve-options.js'
import { createKeyStore } from '../keys/key-store.js'
import { accessTokenProfile } from '../tokens/access-token.js'
import { createUserReader } from '../tokens/user-reader.js'
import { aboutExchange, examineExchange } from './exchange.js'
import { examineServer, listKeys } from './examine-server.js'
import { examineToken } from './examine-token.js'
import { findToken } from './pasted-token.js'
import { aboutProvider, examineProvider } from './provider.js'
import { shownIssuers } from './redact.js'
import type { DoctorFinding, DoctorProvider, DoctorReport, DoctorToken } from './report.js'
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
  const { authUrl, audience, algorithms, resource } = options
  const issuer = shownIssuers(options.issuer)
  const fallback = env.BETTER_AUTH_URL !== undefined ? 'BETTER_AUTH_URL' : 'default'
  const authUrlFrom = given.authUrl !== undefined ? 'argument' : fallback
  const { tried, jwks, entries } = await examineServer(options)
  const keys = await listKeys(entries ?? [], accessTokenProfile(options, createUserReader()))
  const expectedIssuer = oauthIssuerOf(given, env)
  const provider = jwks === null ? null : await examineProvider(options, jwks.url, expectedIssuer)
  const exchanging = resolveOptions({ ...given, exchange: true }, env)
  const situation = { options, exchanging, entries, expectedIssuer, provider, jwksUrl: jwks?.url ?? null }
  const { token, findings: tokenFindings } = await lookAtToken(pasted, situation)
  const findings = [
    ...aboutAuthUrl(options),
    ...aboutSearch(tried),
    ...jwks === null ? [] : aboutJwks(jwks, options),
    ...entries === undefined ? [] : aboutKeys(keys, entries.length),
    ...provider === null ? [] : aboutProvider(provider, options),
    ...tokenFindings
  ]
  const ok = !findings.some(({ level }) => level === 'error')
  return {
    ok,
    authUrl,
    authUrlFrom,
    issuer,
    audience,
    algorithms,
    resource: resource === undefined ? null : { url: resource.url, issuer: resource.issuer },
    tried,
    jwks,
    keys,
    provider,
    token,
    findings
  }
}

/** The issuer that the plugin expects of OAuth access tokens, also without the option `resource`. */
function oauthIssuerOf (given: BetterAuthOptions, env: NodeJS.ProcessEnv): string {
  return resolveOptions({ ...given, resource: given.resource ?? 'https://api.example.com' }, env).resource!.issuer
}

interface Situation {
  readonly options: ResolvedOptions
  /** The same with the option `exchange`. */
  readonly exchanging: ResolvedOptions
  readonly entries: readonly unknown[] | undefined
  readonly expectedIssuer: string
  readonly provider: DoctorProvider | null
  readonly jwksUrl: string | null
}

async function lookAtToken (
  pasted: string | undefined, { options, exchanging, entries, expectedIssuer, provider, jwksUrl }: Situation
): Promise<{ token: DoctorToken | null, findings: DoctorFinding[] }> {
  if (pasted === undefined) return { token: null, findings: [] }
  const { token, notes, cookieName } = findToken(pasted)
  const { authUrl, jwks: policy } = options
  const source: JwksSource = {
    url: null,
    async fetchJwks () {
      if (entries === undefined) throw new JwksFetchError('no_jwks')
      return entries
    }
  }
  const store = createKeyStore({ authUrl, source, policy, log: SILENT, now: Date.now, random: Math.random })
  const rules = { options, keys: store, expectedIssuer }
  const decoded = await examineToken(token, rules)
  const exchanges = decoded.kind === 'opaque' && provider !== null
    ? await examineExchange({ credential: token, cookieName, options: exchanging, jwksUrl }, async jwt => {
      return (await examineToken(jwt, rules)).verdict
    })
    : []
  const examined = { notes, ...decoded, exchanges }
  return {
    token: examined,
    findings: [...aboutToken(token, examined, { options, provider }), ...aboutExchange(exchanges)]
  }
}

/** The report contains what the plugin would log. */
const SILENT = Object.fromEntries(['info', 'warn', 'error'].map(level => {
  return [level, () => {}]
})) as unknown as FastifyBaseLogger
