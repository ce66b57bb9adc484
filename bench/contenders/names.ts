import type { ContenderName } from '../contender.js'

/** The contenders as the results name them. */
export const NAMES: Record<ContenderName, string> = {
  open: 'open route',
  bare: 'bare crypto.verify',
  ours: 'better-auth-fastify',
  earlier: 'better-auth-fastify, earlier build',
  jose: 'jose in a hook',
  'fastify-jwt-jwks': 'fastify-jwt-jwks',
  recipe: '@fastify/jwt + get-jwks'
}
