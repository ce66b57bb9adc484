const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/
/** Addresses (RFC 1918, RFC 3927, RFC 4193, RFC 4291) and names that only a private network knows. */
const PRIVATE_ADDRESS =
  /^(?:(?:10\.\d+|192\.168|172\.(?:1[6-9]|2\d|3[01])|169\.254)\.\d+\.\d+$|\[f[cd]|\[fe[89ab])/
const PRIVATE_NAME = /^[^.:]+$|\.(?:local|internal|lan|intranet|home\.arpa|test|svc|svc\.cluster\.local)\.?$/

/** Whether a host is this machine. */
export function isLoopback (hostname: string): boolean {
  return LOOPBACK.test(hostname)
}

/** Whether a host is this machine, or is in a private network by its address or its name. */
export function isPrivate (hostname: string): boolean {
  return isLoopback(hostname) || PRIVATE_ADDRESS.test(hostname) || PRIVATE_NAME.test(hostname)
}
