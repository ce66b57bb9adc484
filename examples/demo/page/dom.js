export const byId = id => document.getElementById(id)

/** Creates an element. Its content is text or other elements, never markup: responses and claims are untrusted. */
export function element (name, properties, ...content) {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...content)
  return made
}

/**
 * Disables a button and says why in the text below it, or enables it if the reason is empty. A disabled button stays in
 * the tab order, so that the keyboard and a screen reader reach it and its reason.
 */
export function explain (id, reason) {
  byId(id).setAttribute('aria-disabled', String(reason !== ''))
  write(`${id}-why`, reason)
}

/** Why a button is disabled. Empty if it is not. */
export const reasonOf = id => byId(`${id}-why`)?.textContent ?? ''

/** Writes only a changed text, so that a screen reader does not repeat it. */
export function write (id, text) {
  const target = byId(id)
  if (target.textContent !== text) target.textContent = text
}
