const MAX_VALUE = 76

/**
 * Makes text from outside safe for a terminal: anything but printable ASCII becomes an escape, so that it can neither
 * write control sequences nor reverse the line. Long text is cut.
 */
export function printable (text: string): string {
  const safe = escapeText(text)
  return safe.length <= MAX_VALUE ? safe : `${safe.slice(0, MAX_VALUE)}...`
}

/** The same at full length, for our own text that quotes text from outside. */
export function escapeText (text: string): string {
  return text.replace(/[^\x20-\x7E]/gu, character => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

/** JSON in ASCII alone: it parses to the same value, and is harmless on a terminal. */
export function toSafeJson (value: unknown): string {
  const escape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value, null, 2).replace(/[^\x20-\x7E\n]/g, escape)
}

/** Breaks text into lines of at most 96 columns, each indented. A longer word stays whole. */
export function wrap (text: string, indent: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > 96) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map(text => indent + text).join('\n')
}

const UNITS = [
  { unit: 'days', from: 172_800, length: 86_400 },
  { unit: 'h', from: 7200, length: 3600 },
  { unit: 'min', from: 120, length: 60 },
  { unit: 's', from: 0, length: 1 }
]

/** A duration of 0 seconds or more, as text. */
export function duration (seconds: number): string {
  const { unit, length } = UNITS.find(({ from }) => seconds >= from)!
  return `${Math.floor(seconds / length)} ${unit}`
}
