import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

const QUESTION = `Where does Better Auth run?

  1  in a server of its own
  2  in this app

`

/**
 * Asks which of the two set-ups the project has.
 *
 * @returns whether Better Auth runs in the app; `undefined` if the user ends the input.
 */
export async function askSameApp (input: Readable, output: Writable): Promise<boolean | undefined> {
  output.write(QUESTION)
  const lines = createInterface({ input, output, prompt: '1 or 2 [1]: ' })
  // From here on, it keeps each line, however early.
  const answers = lines[Symbol.asyncIterator]()
  lines.prompt()
  for await (const line of answers) {
    const answer = line.trim() || '1'
    if (answer === '1' || answer === '2') return answer === '2'
    lines.prompt()
  }
  return undefined
}
