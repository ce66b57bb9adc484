import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

const QUESTION = `Where does Better Auth run?

  1  in a server of its own
  2  in this app

1 or 2 [1]: `

/**
 * Asks which of the two set-ups the project has.
 *
 * @returns whether Better Auth runs in the app; `undefined` if the user ends the input.
 */
export async function askSameApp (input: Readable, output: Writable): Promise<boolean | undefined> {
  const lines = createInterface({ input, output })
  const ask = (question: string) => new Promise<string | undefined>(resolve => {
    lines.once('close', () => { resolve(undefined) })
    lines.question(question, resolve)
  })
  try {
    for (let question = QUESTION; ; question = '1 or 2 [1]: ') {
      const answer = (await ask(question))?.trim()
      if (answer === undefined) return undefined
      if (answer === '' || answer === '1' || answer === '2') return answer === '2'
    }
  } finally {
    lines.close()
  }
}
