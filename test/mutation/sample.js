// A checker for Stryker that keeps a random part of the mutants: `SAMPLE` percent of them, chosen by `SEED`.
import { createHash } from 'node:crypto'
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin'

const { SAMPLE, SEED } = process.env

/** @param id - Stryker counts the mutants of a room: the same code has the same sample. */
export function isInSample (id, percent, seed) {
  const digest = createHash('sha256').update(`${seed} ${id}`).digest()
  return digest.readUInt32BE() / 2 ** 32 < Number(percent) / 100
}

class Sample {
  async init () {}

  async check (mutants) {
    return Object.fromEntries(mutants.map(({ id }) => [id, isInSample(id, SAMPLE, SEED)
      ? { status: 'passed' }
      : { status: 'compileError', reason: 'not in the sample' }]))
  }
}

export const strykerPlugins = [declareClassPlugin(PluginKind.Checker, 'sample', Sample)]
