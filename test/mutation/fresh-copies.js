// A module that is imported with `?run=…` imports all of ours with the same query: a copy of its own.
export async function resolve (specifier, context, nextResolve) {
  const run = context.parentURL?.startsWith('file:') ? new URL(context.parentURL).searchParams.get('run') : null
  if (run === null) return nextResolve(specifier, context)
  const found = specifier === 'tap'
    ? { url: new URL('current-test.js', import.meta.url).href, format: 'module', shortCircuit: true }
    : await nextResolve(specifier, context)
  if (!found.url.startsWith('file:') || found.url.includes('/node_modules/')) return found
  const url = new URL(found.url)
  url.searchParams.set('run', run)
  return { ...found, url: url.href }
}
