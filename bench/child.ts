import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A program of this folder in its own process. It answers one question at a time. */
export interface Child<Hello, Question, Answer> {
  /** Its first message, sent when it was ready. */
  readonly hello: Hello
  ask (question: Question): Promise<Answer>
  stop (): Promise<void>
}

/** Starts a program with a configuration, which it reads with {@link readConfig}, and optionally on one core only. */
export async function startChild<Hello, Question, Answer> (
  file: string, config: object, core?: number
): Promise<Child<Hello, Question, Answer>> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(config)], core === undefined
    ? {}
    : { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath, ...process.execArgv] })
  return {
    hello: await nextMessage(child, file) as Hello,
    async ask (question) {
      const answer = nextMessage(child, file)
      child.send(question as object)
      return await answer as Answer
    },
    async stop () {
      if (!child.connected) return
      const gone = once(child, 'exit')
      child.disconnect()
      await gone
    }
  }
}

function nextMessage (child: ChildProcess, file: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => { reject(new Error(`${file} ended with code ${code}`)) }
    child.once('exit', onExit)
    child.once('message', message => {
      child.off('exit', onExit)
      resolve(message)
    })
  })
}

/** For the child: reads its configuration. */
export function readConfig<Config> (): Config {
  return JSON.parse(process.argv[2]!) as Config
}

/** For the child: reports that it is ready, answers questions, and ends with its parent. */
export function answerParent<Question> (
  hello: object, answer: (question: Question) => object | Promise<object>
): void {
  process.on('message', async question => { process.send!(await answer(question as Question)) })
  process.on('disconnect', () => { process.exit() })
  process.send!(hello)
}
