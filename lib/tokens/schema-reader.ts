import { CloneType, Kind, type TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { TokenInvalidError } from '../contract/errors.js'
import { InvalidOptionError } from '../contract/setup-errors.js'
import { findFormat, type FormatTest } from './formats.js'

/** A place in a value: its path, the schemas that a `$ref` may name, and where to note values of a wrong format. */
interface Place { readonly path: string, readonly refs: TSchema[], readonly wrong: string[] }

/**
 * Compiles the option `userSchema`.
 *
 * @returns reads a user: it drops what the schema does not declare, and fills in defaults. It does not change its
 * argument.
 * @throws InvalidOptionError for a format that nobody knows. What it returns throws TokenInvalidError.
 */
export function createSchemaReader (given: TSchema): (user: unknown) => unknown {
  // TypeBox refuses formats that are not in its registry, so it does not get to see them.
  const schema = CloneType(given)
  const formats = new Map<TSchema, FormatTest>()
  takeFormats(schema, formats)
  const compiled = TypeCompiler.Compile(schema)

  return user => {
    const wrong: string[] = []
    const value = read(schema, user, { path: '', refs: [], wrong })
    const claim = compiled.Check(value) ? wrong[0] : compiled.Errors(value).First()!.path
    if (claim !== undefined) throw new TokenInvalidError('claim_invalid', { claim })
    return value
  }

  function read (schema: TSchema, value: unknown, { path, refs: outer, wrong }: Place): unknown {
    const refs = [...outer, ...schema.$id === undefined ? [] : [schema], ...Object.values<TSchema>(schema.$defs ?? {})]
    const at = (key: string | number) => ({ path: `${path}/${escapeKey(String(key))}`, refs, wrong })

    if (schema.$ref !== undefined) {
      const target = schema.$defs?.[schema.$ref] ?? refs.find(({ $id }) => $id === schema.$ref)
      return read(target as TSchema, value, { path, refs, wrong })
    }
    if (schema.anyOf !== undefined) return readUnion(schema.anyOf as TSchema[], value, { path, refs, wrong })
    if (schema.allOf !== undefined) {
      const parts = (schema.allOf as TSchema[]).map(part => read(part, value, { path, refs, wrong }))
      return isRecord(value) ? Object.fromEntries(parts.flatMap(part => Object.entries(part as object))) : value
    }
    if (schema.type === 'array' && Array.isArray(value)) {
      const { items = [] } = schema as { items?: TSchema | TSchema[] }
      if (!Array.isArray(items)) return value.map((item, index) => read(items, item, at(index)))
      return items.slice(0, value.length).map((item, index) => read(item, value[index], at(index)))
    }
    if (schema.properties !== undefined && isRecord(value)) {
      return collect(Object.entries<TSchema>(schema.properties), ([name, property]) => {
        const isOptional = property.default !== undefined || schema.required?.includes(name) !== true
        const own = Object.hasOwn(value, name) ? value[name] : undefined
        // A database has NULL where there is nothing.
        const isAbsent = own === undefined || (own === null && isOptional && !Value.Check(property, refs, null))
        const filled: unknown = isAbsent ? structuredClone(property.default) : own
        return filled === undefined ? undefined : [name, read(property, filled, at(name))]
      })
    }
    if (schema.patternProperties !== undefined && isRecord(value)) {
      const [[pattern, property]] = Object.entries<TSchema>(schema.patternProperties) as [[string, TSchema]]
      return collect(Object.entries(value), ([name, own]) => {
        return new RegExp(pattern).test(name) ? [name, read(property, own, at(name))] : undefined
      })
    }
    if (typeof value === 'string' && formats.get(schema)?.(value) === false) wrong.push(path)
    return value
  }

  /** Variants that accept the value as it is come before those that accept it without its nulls. */
  function readUnion (variants: readonly TSchema[], value: unknown, { path, refs, wrong }: Place): unknown {
    const [asIs, others] = [true, false].map(is => variants.filter(one => Value.Check(one, refs, value) === is))
    for (const variant of [...asIs!, ...others!]) {
      const trial: string[] = []
      const result = read(variant, value, { path, refs, wrong: trial })
      if (trial.length === 0 && Value.Check(variant, refs, result)) return result
    }
    wrong.push(path)
    return value
  }
}

/** Moves the formats of a schema into a map, by the schema of the string that has them. */
function takeFormats (schema: TSchema, formats: Map<TSchema, FormatTest>, within?: string): void {
  if (schema[Kind] === 'String' && schema.format !== undefined) {
    const name = String(schema.format)
    const test = findFormat(name)
    if (test === undefined) {
      throw new InvalidOptionError(`Option "userSchema" has the unknown format "${name}"; register it in the ` +
        'FormatRegistry of @sinclair/typebox before this plugin')
    }
    if (within !== undefined) {
      throw new InvalidOptionError(`Option "userSchema" has the format "${name}" within "${within}", where this ` +
        'plugin cannot check it')
    }
    formats.set(schema, test)
    delete schema.format
  }
  const { properties, patternProperties, $defs, items, anyOf, allOf } = schema
  const children = [properties, patternProperties, $defs].flatMap(each => Object.values<TSchema>(each ?? {}))
  for (const child of [...children, items ?? [], anyOf ?? [], allOf ?? []].flat() as TSchema[]) {
    takeFormats(child, formats, within)
  }
  for (const keyword of ['not', 'contains', 'additionalProperties', 'unevaluatedProperties']) {
    if (isRecord(schema[keyword])) takeFormats(schema[keyword] as TSchema, formats, keyword)
  }
}

/** An object with the entries that are not `undefined`. A name may be `__proto__`. */
function collect<T> (list: readonly T[], entry: (item: T) => [string, unknown] | undefined): Record<string, unknown> {
  return Object.fromEntries(list.map(entry).filter(one => one !== undefined))
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** As in a JSON pointer (RFC 6901 §3). */
function escapeKey (key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
