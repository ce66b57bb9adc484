import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { devDependency, install, pack } from '../fixtures/package.js'
import { ROOT } from '../fixtures/program.js'

export interface SmokeProject {
  readonly folder: string
  /** The name of the program in it. */
  readonly program: string
  remove (): void
}

/** An empty project with the packed package, Fastify, and a program that uses both. */
export async function prepareSmoke (): Promise<SmokeProject> {
  const folder = mkdtempSync(join(tmpdir(), 'smoke-'))
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  const { path } = await pack(folder)
  await install(folder, [path, devDependency('fastify')])
  const program = 'smoke.mjs'
  copyFileSync(join(ROOT, 'test/package/consumers', program), join(folder, program))
  return { folder, program, remove () { rmSync(folder, { recursive: true, force: true }) } }
}
