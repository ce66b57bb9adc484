interface Member { readonly key: string, readonly start: number, readonly end: number }

/** A JSON object in a text: the index of its `{` and after its `}`, and its members. */
interface JsonObject { readonly start: number, readonly end: number, readonly members: readonly Member[] }

/**
 * Adds dependencies to the text of a package.json, and changes nothing else.
 *
 * @param text - valid JSON, an object.
 * @param field - `dependencies` or `devDependencies`.
 * @param ranges - the dependencies to add; none of them is there already.
 */
export function insertDependencies (text: string, field: string, ranges: Readonly<Record<string, string>>): string {
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  return Object.entries(ranges).reduce((text, [name, range]) => {
    const root = readObject(text, text.indexOf('{'))
    const entry = `${JSON.stringify(name)}: ${JSON.stringify(range)}`
    const member = root.members.findLast(({ key }) => key === field)
    const indent = indentOf(text, root)
    if (member === undefined) {
      const value = indent === undefined ? `{ ${entry} }` : `{${eol}${indent}${indent}${entry}${eol}${indent}}`
      return insertMember(text, root, undefined, `"${field}": ${value}`, eol)
    }
    const object = readObject(text, text.indexOf('{', text.indexOf(':', member.start + JSON.stringify(field).length)))
    const next = object.members.find(({ key }) => key.localeCompare(name, 'en') > 0)
    return insertMember(text, object, next, entry, eol, indent)
  }, text)
}

/**
 * @param next - the member before which it is inserted; `undefined` for the end.
 * @param outer - the indent of the object itself.
 */
function insertMember (
  text: string, object: JsonObject, next: Member | undefined, member: string, eol: string, outer?: string
): string {
  const put = (start: number, added: string, end = start) => text.slice(0, start) + added + text.slice(end)
  const [first] = object.members
  if (first === undefined) {
    const indent = outer === undefined ? '  ' : outer + outer
    return put(object.start, `{${eol}${indent}${member}${eol}${outer ?? ''}}`, object.end)
  }
  const indent = indentOf(text, object)
  const space = indent === undefined ? ' ' : eol + indent
  return next === undefined
    ? put(object.members.at(-1)!.end, `,${space}${member}`)
    : put(next.start, `${member},${space}`)
}

/** The white space before the first member, if it begins a line. */
function indentOf (text: string, { start, members: [first] }: JsonObject): string | undefined {
  return first && /\n([ \t]*)$/.exec(text.slice(start, first.start))?.[1]
}

/** @param start - the index of its `{`. */
function readObject (text: string, start: number): JsonObject {
  const members: Member[] = []
  let open: { key: string, start: number } | undefined
  let depth = 0
  let end = start
  // Strings, brackets and commas; everything between them is ignored.
  for (const { 0: token, index } of text.slice(start).matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},]|[^\s"[\]{},]/g)) {
    const isClosing = token === '}' || token === ']'
    if (isClosing) depth--
    if (open !== undefined && ((isClosing && depth === 0) || (token === ',' && depth === 1))) {
      members.push({ ...open, end })
      open = undefined
    }
    end = start + index + token.length
    if (isClosing && depth === 0) break
    if (token === '{' || token === '[') depth++
    else if (open === undefined && token[0] === '"') {
      open = { key: JSON.parse(token) as string, start: start + index }
    }
  }
  return { start, end, members }
}
