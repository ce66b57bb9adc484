import * as Type from '@sinclair/typebox'
import { invalid, option, readOptions, type OptionSchema } from './check-options.js'
import type { DpopOptions, DpopReplayStore } from './dpop-options.js'
import { AnyFunction, typed } from './schema-parts.js'
import { InvalidOptionError } from './setup-errors.js'
import type { ResolvedResource } from './resolve-resource.js'

const ORIGINS_EXPECTS = 'an array of http(s) origins such as "https://api.example.org"'

/** Every option of {@link DpopOptions}: what it may be, and its default. */
export const DPOP_OPTIONS = {
  required: option(Type.Boolean(), 'true or false', false),
  maxProofAge: option(
    Type.Number({ minimum: 1000, maximum: 3_600_000 }), 'a number of milliseconds from 1000 to 3600000', 300_000
  ),
  replayStore: option(
    typed<DpopReplayStore>(Type.Object({ reserve: AnyFunction })),
    'an object with the function "reserve"'
  ),
  origins: option(typed<readonly string[]>(Type.Array(Type.String())), ORIGINS_EXPECTS, [])
} satisfies Record<keyof DpopOptions, OptionSchema>

/** The option `dpop`, resolved. */
export interface ResolvedDpop {
  readonly required: boolean
  readonly maxProofAge: number
  /** `undefined`: the memory of this instance. */
  readonly replayStore: DpopReplayStore | undefined
  /** Every origin that the `htu` of a proof may have, whatever the request says: first that of `resource.url`. */
  readonly origins: readonly string[]
}

/** @throws InvalidOptionError */
export function resolveDpop (
  given: boolean | DpopOptions, resource: ResolvedResource | undefined
): ResolvedDpop | undefined {
  if (given === false) return undefined
  const { origins, ...rest } = readOptions(DPOP_OPTIONS, given === true ? {} : given, 'dpop.')
  if (resource === undefined) {
    throw new InvalidOptionError('Option "dpop" needs the option "resource": only access tokens of OAuth clients are ' +
      'bound to a key, and without "resource" they are refused')
  }
  for (const origin of origins) {
    if (!/^https?:\/\//.test(origin) || !URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw invalid('dpop.origins', ORIGINS_EXPECTS, origins)
    }
  }
  return { ...rest, origins: Object.freeze([new URL(resource.url).origin, ...origins]) }
}
