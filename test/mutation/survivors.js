// A reporter for Stryker that prints each survivor at once: a run that is stopped has shown what it found.
import { relative } from 'node:path'
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin'

class Survivors {
  onMutantTested ({ fileName, location: { start }, status, mutatorName, replacement = '' }) {
    if (status !== 'Survived' && status !== 'NoCoverage') return
    const path = relative(process.cwd(), fileName)
    console.log(`${path}:${start.line}:${start.column} ${mutatorName} ${replacement.replaceAll(/\s+/g, ' ')}`)
  }
}

export const strykerPlugins = [declareClassPlugin(PluginKind.Reporter, 'survivors', Survivors)]
