import type { TSchema } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { ResolvedOptions } from '../contract/resolve-options.js'
import type { VerifiedToken } from '../tokens/verified-token.js'

/** One clause of a guard: its schema, its rule and its description. */
export interface Clause<Value> {
  readonly schema: TSchema
  /** Completes the sentence "Option "authorize.x" must be …". */
  readonly expects: string
  /**
   * Validates what a schema cannot, and copies the value, so that nobody can change it later.
   *
   * @throws InvalidOptionError
   */
  snapshot? (value: Value, options: Pick<ResolvedOptions, 'roles'>): Value
  /**
   * Absent where `admission.ts` judges.
   *
   * @throws ForbiddenError or CheckUnavailableError, or rejects with one.
   */
  judge? (value: Value, verified: VerifiedToken, request: FastifyRequest): void | Promise<void>
  /** What it requires, for the API docs. */
  describe (value: Value): string
}
