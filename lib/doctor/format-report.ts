import { describeExchange } from './exchange.js'
import type {
  DoctorFinding, DoctorKey, DoctorNeeds, DoctorPart, DoctorReport, DoctorToken, DoctorVerdict
} from './report.js'
import { duration, printable, wrap } from './terminal.js'
import { KINDS } from './token-kind.js'

const MAX_PARTS = 60

/** The report as plain text without colours. Text from outside is escaped. */
export function formatReport (report: DoctorReport): string {
  const { authUrl, authUrlFrom, issuer, audience, resource, tried, keys, token, findings } = report
  const from = { argument: '', BETTER_AUTH_URL: ' (from BETTER_AUTH_URL)', default: ' (the default)' }[authUrlFrom]
  const sections = [
    [
      `Auth server  ${authUrl}${from}`,
      formatLine('Accepted', `iss ${formatAccepted(issuer)}, aud ${formatAccepted(audience)}`),
      ...resource === null
        ? []
        : [formatLine('OAuth', `iss ${printable(resource.issuer)}, aud ${printable(resource.url)} (resource)`)]
    ].join('\n'),
    `Search\n${formatRows(tried.map(({ url, found, response }) => [found ? 'found' : 'no', `${url}: ${response}`]))}`,
    ...jwksSection(report),
    ...providerSection(report),
    ...keys.length > 0 ? [`Keys\n${formatRows(keys.map(keyRow))}`] : [],
    ...token === null ? [] : [tokenSection(token)],
    ...findings.length > 0 ? [`To do\n${findings.map(formatFinding).join('\n')}`] : [],
    [
      ...token === null ? [] : [`Token        ${formatVerdict(token.verdict)}`],
      `Verdict      ${report.ok ? 'all is well' : 'not well, see "To do" (exit status 1)'}`
    ].join('\n')
  ]
  return `${sections.join('\n\n')}\n`
}

function formatVerdict ({ accepted, reason }: DoctorVerdict): string {
  return accepted ? 'accepted' : `refused: ${reason}`
}

function formatLine (title: string, text: string): string {
  return `${title.padEnd(12)} ${wrap(text, ' '.repeat(13)).trim()}`
}

function formatAccepted (accepted: readonly string[] | false): string {
  return accepted === false ? 'any' : accepted.map(printable).join(' or ')
}

function formatRows (cells: ReadonlyArray<readonly [mark: string, text: string]>): string {
  return cells.map(([mark, text]) => `  ${mark.padEnd(8)} ${wrap(text, ' '.repeat(11)).trim()}`).join('\n')
}

function jwksSection ({ jwks }: DoctorReport): string[] {
  if (jwks === null) return []
  const { status, milliseconds, ageSeconds, maxAgeSeconds } = jwks
  const age = ageSeconds === null ? 'fresh (no Age)' : `${duration(ageSeconds)} old`
  const cache = maxAgeSeconds === null ? 'no max-age' : `max-age ${duration(maxAgeSeconds)}`
  return [`JWKS         HTTP ${status} in ${milliseconds} ms, ${age}, ${cache}`]
}

function providerSection ({ provider }: DoctorReport): string[] {
  if (provider === null) return []
  const { url, issuer, tried, tokenUrl, tokenResponse, tokenIsDisabled } = provider
  const isRight = tokenResponse === 'HTTP 401'
  const about = tokenIsDisabled ? ': it is disabled' : isRight ? ', right without a session' : ''
  const responses = [...new Set(tried.map(({ response }) => response))].join(', ')
  const found = issuer === null ? `none found: ${responses}` : `issuer ${printable(issuer)}, metadata at ${url}`
  return [[
    formatLine('Tokens', `GET ${tokenUrl}: ${tokenResponse}${about}`), formatLine('Provider', found)
  ].join('\n')]
}

function keyRow ({ kid, alg, kty, crv, algorithms, fault }: DoctorKey): [string, string] {
  const words = [
    kid === null ? 'no kid' : `"${printable(kid)}"`,
    [kty, crv].map(word => word === null ? '' : printable(word)).join(' ').trim() || 'no kty',
    alg === null ? 'no alg' : `alg ${printable(alg)}`
  ]
  return fault === null
    ? ['usable', `${words.join(', ')}: verifies ${algorithms.join(', ')}`]
    : ['NOT USED', `${words.join(', ')}: ${fault}`]
}

function tokenSection ({ notes, segments, signature, kind, needs, exchanges, header, claims }: DoctorToken): string {
  const proof = { right: 'signature right', wrong: 'signature wrong', unchecked: 'signature not checked' }[signature]
  return [
    wrap(['Token', `${segments} segment${segments === 1 ? '' : 's'}`, proof, ...notes].join('; '), ''),
    formatRows([
      ['kind', kind === null ? 'of no known kind' : KINDS[kind]],
      ...needs === null ? [] : [['needs', formatNeeds(needs)] as const],
      ...exchanges.map(exchange => ['exchange', describeExchange(exchange)] as const)
    ]),
    ...formatParts('header', header),
    ...formatParts('claims', claims)
  ].join('\n')
}

function formatNeeds ({ issuer, audience, options: [issuerOption, audienceOption] }: DoctorNeeds): string {
  const accepted = formatAccepted(audience)
  const aud = accepted === '' ? 'is the option resource, which is not set' : `${accepted} (${audienceOption})`
  return `iss ${formatAccepted(issuer)} (${issuerOption}), aud ${aud}`
}

function formatParts (title: string, all: readonly DoctorPart[]): string[] {
  if (all.length === 0) return []
  const shown = all.slice(0, MAX_PARTS)
  const lines = formatRows(shown.map(({ name, value, reason }) => [
    reason === null ? 'ok' : 'REFUSED', `${printable(name)}: ${value}${reason === null ? '' : ` (${reason})`}`
  ]))
  return [`  ${title}`, lines, ...all.length > MAX_PARTS ? [`  and ${all.length - MAX_PARTS} more`] : []]
}

function formatFinding ({ level, about, text, fix }: DoctorFinding): string {
  return `  ${level === 'error' ? '!' : '-'} ${wrap(`${about}: ${text}`, '    ').trim()}\n${wrap(fix, '      ')}`
}
