import type { Protect } from '../server.js'

/** No authentication at all. */
export const protect: Protect = async () => ({})
