import type { ResolvedExchange } from '../contract/resolve-exchange.js'

/**
 * Where credentials are exchanged: below `authUrl`, or below `/api/auth` if that is an origin. At an origin, keys that
 * were found at `/jwks` are those of a Better Auth server with the base path `/`, and `/token` is beside them.
 *
 * @param jwksUrl - where the keys were found, or `null`.
 */
export function exchangeUrl ({ url, root }: Pick<ResolvedExchange, 'url' | 'root'>, jwksUrl: string | null): string {
  return root !== undefined && jwksUrl === root.jwksUrl ? root.url : url
}
