import type { TokenInvalidError } from '../contract/errors.js'
import { importJwk, type UnusableJwkError, type VerificationKey } from '../keys/jwk.js'
import type { Jwk } from '../auth-server/fetch-jwks.js'
import type { Accepts } from '../tokens/jws.js'
import { judgeHeader } from './probe.js'
import type { DoctorKey, DoctorKeyFault } from './report.js'

/** Says of each entry of the JWKS which tokens it verifies here, by the plugin's own import of keys. */
export function listKeys (entries: readonly unknown[], accepts: Accepts): DoctorKey[] {
  const seen = new Set<unknown>()
  return entries.map(entry => {
    const jwk = (typeof entry === 'object' && entry !== null ? entry : {}) as Jwk
    const { algorithms, fault } = judge(jwk, seen, accepts)
    seen.add(jwk.kid)
    return { kid: text(jwk.kid), alg: text(jwk.alg), kty: text(jwk.kty), crv: text(jwk.crv), algorithms, fault }
  })
}

function judge (jwk: Jwk, seen: ReadonlySet<unknown>, accepts: Accepts): Pick<DoctorKey, 'algorithms' | 'fault'> {
  const none = (fault: DoctorKeyFault) => ({ algorithms: [], fault })
  let key: VerificationKey
  try {
    key = importJwk('', jwk)
  } catch (error) {
    return none((error as UnusableJwkError).fault)
  }
  const { kid } = jwk
  if (typeof kid !== 'string') return none('kid_missing')
  // get-jwks takes the first of a name, whatever it is.
  if (seen.has(kid)) return none('kid_duplicate')
  const judged = key.algorithms.map(alg => ({ alg, reason: reasonOf(() => judgeHeader({ alg, kid }, accepts)) }))
  const algorithms = judged.filter(({ reason }) => reason === null).map(({ alg }) => alg)
  return algorithms.length > 0 ? { algorithms, fault: null } : none(judged[0]!.reason!)
}

function reasonOf (run: () => unknown): 'kid_invalid' | 'algorithm_not_allowed' | null {
  try {
    run()
    return null
  } catch (error) {
    return (error as TokenInvalidError).reason as 'kid_invalid' | 'algorithm_not_allowed'
  }
}

function text (value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
