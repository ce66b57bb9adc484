import { InitError } from './init-error.js'
import { isEditable, readText } from './folder.js'

/** What init reads in a package.json. */
export interface Manifest {
  readonly text: string
  readonly type: string | undefined
  readonly main: string | undefined
  readonly packageManager: string | undefined
  readonly scripts: Readonly<Record<string, string>>
  /** The ranges of all dependencies, of every kind. */
  readonly dependencies: ReadonlyMap<string, string>
}

const KINDS = ['optionalDependencies', 'peerDependencies', 'devDependencies', 'dependencies']

/**
 * Reads the package.json of a project.
 *
 * @param isEmpty - whether the folder has no files.
 * @throws InitError if there is none, or it is not valid.
 */
export function readManifest (root: string, isEmpty: boolean): Manifest {
  const text = readText(root, 'package.json')
  if (text === undefined) {
    throw new InitError(isEmpty
      ? 'This folder is empty. Create a project first: npm init -y'
      : 'There is no package.json in this folder. Change to the folder of your project, or create one: npm init -y')
  }
  if (!isEditable(root, 'package.json')) throw new InitError('package.json must be UTF-8')
  const json = parse(text)
  const field = (name: string) => typeof json[name] === 'string' ? json[name] : undefined
  return {
    text,
    type: field('type'),
    main: field('main'),
    packageManager: field('packageManager'),
    scripts: readStrings(json, 'scripts'),
    dependencies: new Map(KINDS.flatMap(kind => Object.entries(readStrings(json, kind))))
  }
}

function parse (text: string): Record<string, unknown> {
  let json: unknown
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw new InitError(`package.json is not valid JSON: ${(error as Error).message}`)
  }
  if (!isObject(json)) throw new InitError('package.json must be a JSON object')
  return json
}

function readStrings (json: Record<string, unknown>, name: string): Record<string, string> {
  const { [name]: value = {} } = json
  if (!isObject(value)) throw new InitError(`"${name}" in package.json must be an object`)
  const entries = Object.entries(value)
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
