/** The cache of verified tokens. */
export interface TokenCacheOptions {
  /**
   * How many tokens are kept. The least recently used are dropped first. Of a token that was used once, only a digest
   * is kept.
   *
   * Default: `10000`.
   */
  max?: number | undefined
  /**
   * How much memory the kept tokens may take together, in bytes, as estimated from their lengths. Tokens over 4 kB are
   * never kept.
   *
   * Default: `33554432` (32 MB).
   */
  maxBytes?: number | undefined
}
