import type { CredentialHeader } from '../auth-server/token-exchange.js'
import type { CredentialKind } from '../contract/principal.js'

/** What a request presents that only the auth server can read. */
export interface OpaqueCredential {
  readonly via: Exclude<CredentialKind, 'bearer' | 'dpop' | 'cookie'>
  /** The name of its header or cookie. */
  readonly name: string
  /** Its text in the request, by which its session is known. */
  readonly text: string
  /**
   * Reads the text before it is exchanged. A session that is known was read before.
   *
   * @throws TokenInvalidError if the text is malformed.
   */
  readonly read: (text: string) => ReadCredential
  /** The request that it comes from, if from a request. */
  readonly request: {
    /** The IP address of the client. */
    readonly ip: string
  } | undefined
}

export interface ReadCredential {
  /** The session token without a signature, or the API key. */
  readonly token: string
  /** How it is sent to the auth server. */
  readonly header: CredentialHeader
}
