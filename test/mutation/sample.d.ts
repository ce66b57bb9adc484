export function isInSample (id: string, percent: string, seed: string): boolean
