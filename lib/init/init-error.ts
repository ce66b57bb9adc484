/** Something that the user has to change first. Its message is one line for them. */
export class InitError extends Error {}
