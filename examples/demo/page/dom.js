export const byId = id => document.getElementById(id)

/** Creates an element. Its content is text or other elements, never markup: responses and claims are untrusted. */
export function element (name, properties, ...content) {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...content)
  return made
}

/** Writes only a changed text, so that a screen reader does not repeat it. */
export function write (id, text) {
  const target = byId(id)
  if (target.textContent !== text) target.textContent = text
}
