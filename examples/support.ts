import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { toNodeHandler } from 'better-auth/node'
import { jwt, type JwtOptions } from 'better-auth/plugins'

/** A Better Auth server: users sign up there, and it signs their tokens. */
export interface AuthServer {
  readonly url: string
  close (): void
}

/** Starts a Better Auth server. Its tables are in memory and disappear with the process. */
export async function startAuthServer (portName: string, port: number, jwtOptions?: JwtOptions): Promise<AuthServer> {
  const url = `http://localhost:${port}`
  const auth = betterAuth({
    baseURL: url,
    secret: randomBytes(32).toString('hex'),
    database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
    emailAndPassword: { enabled: true },
    telemetry: { enabled: false },
    plugins: [jwt(jwtOptions)]
  })
  const server = createServer(toNodeHandler(auth))
  await listen(portName, port, async () => {
    server.listen(port, 'localhost')
    await once(server, 'listening')
  })
  return {
    url,
    close () {
      server.closeAllConnections()
      server.close()
    }
  }
}

/** Shell commands that sign up a user and put a token into a shell variable. */
export function signUpLines (authUrl: string, variable = 'TOKEN', cookies = 'cookies.txt'): string {
  const body = JSON.stringify({ name: 'Ada', email: 'ada@example.com', password: 'correct horse battery staple' })
  return [
    `curl -sS -w '\\n' -b ${cookies} -c ${cookies} ${authUrl}/api/auth/sign-up/email ` +
      `-H 'Origin: ${authUrl}' -H 'Content-Type: application/json' -d '${body}'`,
    `${variable}=$(curl -sS -b ${cookies} ${authUrl}/api/auth/token | cut -d '"' -f 4)`
  ].join('\n')
}

/** Reads a port from an environment variable, or ends the program with one line that names the variable. */
export function readPort (name: string, byDefault: number): number {
  const text = process.env[name] || String(byDefault)
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) {
    fail(`${name} must be a port from 1 to 65535, got ${JSON.stringify(text)}`)
  }
  return port
}

/** Starts a server, or ends the program with one line that names the variable to set. */
export async function listen (name: string, port: number, start: () => Promise<unknown>): Promise<void> {
  try {
    await start()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    fail(`Port ${port} ${code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${code})`}: set ${name} to another one`)
  }
}

/** Stops once: a Ctrl-C may arrive twice, from the terminal and from the program that started this one. */
export function stopOnSignal (stop: () => Promise<void>): void {
  let stopping = false
  const stopOnce = () => {
    if (stopping) return
    stopping = true
    stop().catch(error => {
      console.error(error)
      process.exitCode = 1
    })
  }
  process.on('SIGINT', stopOnce)
  process.on('SIGTERM', stopOnce)
}

function fail (message: string): never {
  console.error(message)
  process.exit(1)
}
