// As a default: in the banner that bundles of esbuild need, `createRequire` is taken.
import nodeModule from 'node:module'
import { FormatRegistry } from '@sinclair/typebox'
import ajvFormats from 'ajv-formats/dist/formats.js'

/** Whether a string has a format. */
export type FormatTest = (text: string) => boolean

interface Registry { Get (name: string): ((text: string) => unknown) | undefined }

/**
 * Finds a format by its name: those that the application registered in its TypeBox, then those of ajv-formats, which
 * Fastify's own validator has. It registers nothing: TypeBox keeps its formats for the whole process.
 */
export function findFormat (name: string): FormatTest | undefined {
  for (const registry of [FormatRegistry, ...commonJsRegistries()]) {
    const test = registry.Get(name)
    if (test !== undefined) return guarded(test)
  }
  const format = Object.hasOwn(ajvFormats.fullFormats, name) ? ajvFormats.fullFormats[name as 'uuid'] : undefined
  return format === undefined ? undefined : fromAjv(format)
}

/** A program that is CommonJS loads other builds of TypeBox than this module does, each with its own registry. */
function commonJsRegistries (): Registry[] {
  // The cache is the same for any absolute path, and a bundle as CommonJS has no `import.meta.url`.
  const loaded = Object.values(nodeModule.createRequire(process.execPath).cache)
  return loaded.flatMap(module => {
    const isTypeBox = /[\\/]@sinclair[\\/]typebox[\\/]build[\\/]cjs[\\/]index\.js/.test(module!.filename)
    return isTypeBox ? [(module!.exports as { FormatRegistry: Registry }).FormatRegistry] : []
  })
}

function fromAjv (format: unknown): FormatTest {
  if (format instanceof RegExp) return text => format.test(text)
  if (typeof format === 'function') return guarded(format as FormatTest)
  const { type, validate } = format as { type?: string, validate?: unknown }
  // The formats of numbers, and those that only inform a reader, say nothing about a string.
  return validate === undefined || type === 'number' ? () => true : fromAjv(validate)
}

/** Only `true` counts. A test that throws must not become a response 500. */
function guarded (test: (text: string) => unknown): FormatTest {
  return text => {
    try {
      return test(text) === true
    } catch {
      return false
    }
  }
}
