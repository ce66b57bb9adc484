import { isUtf8 } from 'node:buffer'
import {
  accessSync, chmodSync, constants, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync,
  statSync, writeFileSync, type Dirent
} from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { InitError } from './init-error.js'

const MAX_DEPTH = 5
const MAX_FILES = 5000
/** What a shell, a diff or a reader would take for something else: an option, and the end of a name or of a line. */
const MISLEADING = /^-|[\t\n\r]/
/** Generated and hidden folders. */
const SKIPPED = /^(?:\.|node_modules$|dist$|build$|out$|coverage$)/

/**
 * The files of a project, as paths from its root with `/`. Symbolic links are not followed, and what cannot be read,
 * such as the folder of a database in a container, is left out.
 */
export function listFiles (root: string): string[] {
  const files: string[] = []
  function visit (folder: string, depth: number): void {
    for (const entry of entriesOf(join(root, folder))) {
      if (files.length === MAX_FILES) return
      if (MISLEADING.test(entry.name)) continue
      if (entry.isFile()) files.push(folder + entry.name)
      else if (entry.isDirectory() && depth < MAX_DEPTH && !SKIPPED.test(entry.name)) {
        visit(`${folder}${entry.name}/`, depth + 1)
      }
    }
  }
  visit('', 0)
  return files.sort()
}

function entriesOf (folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

/**
 * The text of a file; `undefined` if there is none.
 *
 * @throws InitError if it cannot be read.
 */
export function readText (root: string, path: string): string | undefined {
  try {
    const file = join(root, path)
    // A device or a pipe may have no end.
    if (statSync(file).isFile()) return readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new InitError(`${path} cannot be read: ${code}`)
  }
  throw new InitError(`${path} is not a file`)
}

/** Whether a file can be changed: what is not UTF-8 in it would be lost. */
export function isEditable (root: string, path: string): boolean {
  return isUtf8(readFileSync(join(root, path)))
}

/**
 * Whether a path exists, even as a symbolic link that leads nowhere.
 *
 * @param root - the project, without symbolic links in its path.
 * @throws InitError if a part of the path leads out of the project, or is not a folder.
 */
export function isTaken (root: string, path: string): boolean {
  const parts = path.split('/')
  for (const index of parts.keys()) {
    const part = parts.slice(0, index + 1).join('/')
    const stats = lstatSync(join(root, part), { throwIfNoEntry: false })
    if (stats === undefined) return false
    if (stats.isSymbolicLink() && !isInside(root, join(root, part))) {
      throw new InitError(`${part} is a symbolic link that leads out of the project: nothing was written`)
    }
    const isFolder = index === parts.length - 1 || statSync(join(root, part)).isDirectory()
    if (!isFolder) throw new InitError(`${part} is not a folder: nothing was written`)
  }
  return true
}

/** The repository itself is no part of the project. */
function isInside (root: string, link: string): boolean {
  try {
    const path = realpathSync(link)
    return path.startsWith(join(root, sep)) && !path.split(sep).includes('.git')
  } catch {
    // It leads nowhere.
    return false
  }
}

/**
 * Writes a file of the project. A new one is created with its folders, and never replaces anything. Another keeps its
 * text until the new text is on the disk.
 *
 * @throws InitError if it cannot be written.
 */
export function writeText (root: string, path: string, text: string, isNew: boolean): void {
  try {
    if (!isNew) return replace(realpathSync(join(root, path)), text)
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text, { flag: 'wx' })
  } catch (error) {
    throw new InitError(`${path} cannot be written: ${(error as NodeJS.ErrnoException).code}`)
  }
}

function replace (file: string, text: string): void {
  accessSync(file, constants.W_OK)
  const { mode } = statSync(file)
  const temporary = `${file}.${process.pid}.tmp`
  writeFileSync(temporary, '', { flag: 'wx', mode })
  try {
    writeFileSync(temporary, text)
    // The umask of the process limits the mode of new files.
    chmodSync(temporary, mode)
    renameSync(temporary, file)
  } catch (error) {
    rmSync(temporary)
    throw error
  }
}
