export const byId = id => document.getElementById(id)

/** An element. What it holds is text or other elements, never markup: answers and claims come from elsewhere. */
export function element (name, properties, ...content) {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...content)
  return made
}

/** Writes only what has changed, so that a screen reader is not told the same again. */
export function write (id, text) {
  const target = byId(id)
  if (target.textContent !== text) target.textContent = text
}
