/** The version in package.json. A constant, because a bundled application has no such file beside its code. */
export const VERSION = '0.1.0'
