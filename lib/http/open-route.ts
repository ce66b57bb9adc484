/** In the `config` of a route, for the hooks of every registration and of other installed copies. */
const kOpen = Symbol.for('better-auth-fastify.metadata')

/** The `config` of a route of this plugin that its own hooks never protect. */
export const OPEN_ROUTE = { public: true, [kOpen]: true } as const

/** Whether a route with this `config` is for clients that have no token yet: hooks of this plugin never refuse it. */
export function isOpenRoute (config: unknown): boolean {
  return (config as { [kOpen]?: true } | null | undefined)?.[kOpen] === true
}
