const MAX_VALUE = 76

/**
 * Text from outside, made safe for a terminal: whatever is not printable ASCII is shown as an escape, so that it can neither
 * write control sequences nor turn the line around, and what is long is cut.
 */
export function printable (text: string): string {
  const safe = escapeText(text)
  return safe.length <= MAX_VALUE ? safe : `${safe.slice(0, MAX_VALUE)}...`
}

/** The same for text of our own with something from outside in it, which is cut already. */
export function escapeText (text: string): string {
  return text.replace(/[^\x20-\x7E]/gu, character => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

/** JSON in ASCII alone: parsed it is the same, printed it is harmless. */
export function toSafeJson (value: unknown): string {
  const escape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value, null, 2).replace(/[^\x20-\x7E\n]/g, escape)
}

/** Breaks text into lines of at most 96 columns, each indented; a word that is longer stays whole. */
export function wrap (text: string, indent: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > 96) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map(one => indent + one).join('\n')
}

/** A length of time, for a person. */
export function duration (seconds: number): string {
  const [unit, length] = ([['days', 172_800, 86_400], ['h', 7200, 3600], ['min', 120, 60], ['s', 0, 1]] as const)
    .filter(([, from]) => seconds >= from).map(([name,, size]) => [name, size] as const)[0]!
  return `${Math.floor(seconds / length)} ${unit}`
}
