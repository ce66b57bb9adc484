/** Something that the user has to change first. Its message is one line, whatever it quotes of the project. */
export class InitError extends Error {
  constructor (message: string) {
    super(message.replaceAll('\n', ' '))
  }
}
