import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['dist/**', '.tap/**', '.stryker/**'] }),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  { rules: { '@stylistic/max-len': ['error', { code: 120 }] } }
]
