import type { Protect } from '../contender.js'

/** No authentication at all. */
export const protect: Protect = async () => ({})
