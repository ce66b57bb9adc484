import type { ContenderName } from '../contender.js'
import { CONNECTIONS } from '../load.js'
import type { Measurement } from '../measure.js'
import type { Algorithm } from '../tokens.js'

/** Warm: a few known tokens in turn. Cold: a new token on each request. */
export interface Route { contender: ContenderName, tokens: 'warm' | 'cold', load: Load }

/** How the requests come, and whether the server may use only one core. */
export interface Load {
  name: string
  connections: number
  oneCore: boolean
  /** The share of the requests of a measurement that is enough. */
  share: number
}

/** The measurement of a route for one algorithm, or the status with which its contender refuses the tokens. */
export interface Row { alg: Algorithm, route: Route, result: Measurement | { refused: number } }

export const MANY: Load = { name: `${CONNECTIONS} connections`, connections: CONNECTIONS, oneCore: false, share: 1 }
export const SINGLE: Load = { name: '1 connection', connections: 1, oneCore: false, share: 0.5 }
export const ONE_CORE: Load = { ...MANY, name: `${MANY.name}, server on one core`, oneCore: true }

/** A figure of a contender: of new tokens over many connections, unless another route is asked for; NaN if none. */
export function figure (
  rows: readonly Row[], name: keyof Measurement, alg: Algorithm, contender: ContenderName,
  { tokens = 'cold', load = MANY }: Partial<Route> = {}
): number {
  const row = rows.find(({ alg: its, route }) => (
    its === alg && route.contender === contender && route.tokens === tokens && route.load === load
  ))
  return row === undefined || 'refused' in row.result ? NaN : row.result[name]
}
