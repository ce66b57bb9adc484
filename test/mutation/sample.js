// A checker for Stryker that keeps a random part of the mutants: `SAMPLE` percent of them, chosen by `SEED`.
import { createHash } from 'node:crypto'
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin'

const { SAMPLE, SEED } = process.env

class Sample {
  async init () {}

  async check (mutants) {
    return Object.fromEntries(mutants.map(({ id }) => [id, isChosen(id)
      ? { status: 'passed' }
      : { status: 'compileError', reason: 'not in the sample' }]))
  }
}

/** Stryker counts the mutants of a room, so the same code has the same sample. */
function isChosen (id) {
  const digest = createHash('sha256').update(`${SEED} ${id}`).digest()
  return digest.readUInt32BE() / 2 ** 32 < Number(SAMPLE) / 100
}

export const strykerPlugins = [declareClassPlugin(PluginKind.Checker, 'sample', Sample)]
