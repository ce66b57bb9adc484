import { invalid, readOptions } from './check-options.js'
import { RESOURCE_OPTIONS } from './option-schemas.js'
import type { ResourceOptions } from './resource-options.js'

/** The option `resource`, resolved. */
export interface ResolvedResource {
  /** Its identifier as given: clients and servers compare it as text. */
  readonly url: string
  /** The spellings of its identifier that an `aud` may have: as given, and as a URL parser writes it. */
  readonly audiences: readonly string[]
  readonly issuer: string
  readonly scopes: readonly string[]
  /** For each scope that includes others: itself and all of these, directly or not. */
  readonly scopeIncludes: ReadonlyMap<string, readonly string[]>
  readonly name: string | undefined
  readonly documentation: string | undefined
  readonly authorizationServers: readonly string[]
}

/** No scopes of a resource: they are for the client and its authorization server. */
const CLIENT_SCOPES = ['openid', 'offline_access']
const URL_EXPECTS = 'an absolute http(s) URL without credentials, a query or a fragment'

/**
 * @param defaultIssuer - the issuer identifier of the Better Auth server as an authorization server.
 * @throws InvalidOptionError
 */
export function resolveResource (
  given: string | ResourceOptions | undefined, defaultIssuer: string
): ResolvedResource | undefined {
  if (given === undefined) return undefined
  const isString = typeof given === 'string'
  const options = readOptions(RESOURCE_OPTIONS, isString ? { url: given } : given, 'resource.')
  const { href } = parseResourceUrl(isString ? 'resource' : 'resource.url', options.url)
  const issuer = options.issuer ?? defaultIssuer
  for (const server of options.authorizationServers ?? []) parseResourceUrl('resource.authorizationServers', server)
  return {
    url: options.url!,
    audiences: Object.freeze([...new Set([options.url!, href])]),
    issuer,
    scopes: Object.freeze([...new Set(options.scopes)].filter(scope => !CLIENT_SCOPES.includes(scope))),
    scopeIncludes: includeAll(options.scopeIncludes),
    name: options.name,
    documentation: options.documentation,
    authorizationServers: Object.freeze([...options.authorizationServers ?? [issuer]])
  }
}

function parseResourceUrl (name: string, text: string | undefined): URL {
  // The URL parser accepts mistakes: missing slashes, back slashes, surrounding spaces, an empty query.
  const string = String(text)
  const isUrl = /^https?:\/\/[^\s/?#\\@]+(?:\/[^\s?#\\]*)?$/i.test(string) && URL.canParse(string)
  if (!isUrl) throw invalid(name, URL_EXPECTS, text)
  return new URL(string)
}

/** The scopes that each scope includes, those included by included ones too. */
function includeAll (includes: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, readonly string[]> {
  // The entries of a Map are not its properties.
  if (Symbol.iterator in includes) {
    throw invalid('resource.scopeIncludes', RESOURCE_OPTIONS.scopeIncludes.expects, includes)
  }
  const direct = new Map(Object.entries(includes))
  return new Map([...direct.keys()].map(scope => {
    const all = new Set([scope])
    // A Set is walked to its end, with what is added on the way.
    for (const included of all) for (const further of direct.get(included) ?? []) all.add(further)
    return [scope, Object.freeze([...all])]
  }))
}
