import { byId, element } from './dom.js'

/** Section 2: shows a decoded token, or `null` for none. */
export function showToken (current) {
  const rows = current === null
    ? [element('tr', {}, element('td', { colSpan: 2, className: 'empty' }, 'Sign in to get a token.'))]
    : rowsOf(current).map(rowElement)
  byId('claims').replaceChildren(...rows)
  showLife(current)
}

function rowElement ([name, value]) {
  return element('tr', {}, element('th', { scope: 'row' }, name), element('td', {}, value))
}

function rowsOf ({ header, claims: { iss, aud, sub, role, exp, iat, ...others } }) {
  const claims = Object.entries({ iss, aud, sub, role, exp, iat, ...others })
    .filter(([, value]) => value !== null && value !== undefined)
  return [
    ['alg', header.alg],
    ['kid', header.kid],
    ...claims.map(([name, value]) => [
      name, ['exp', 'iat'].includes(name) ? `${value} (${timeOf(value)})` : textOf(value)
    ])
  ]
}

const timeOf = seconds => new Date(seconds * 1000).toTimeString().slice(0, 8)
const textOf = value => typeof value === 'string' ? value : JSON.stringify(value)

/** The seconds until the token expires. */
export function secondsLeft (current) {
  return current === null ? 0 : Math.max(0, Math.ceil(current.claims.exp - Date.now() / 1000))
}

export function showLife (current) {
  const left = secondsLeft(current)
  byId('life').max = current === null ? 1 : current.claims.exp - current.claims.iat
  byId('life').value = left
  byId('left').value = current === null ? '–' : left === 0 ? 'expired' : durationOf(left)
}

function durationOf (seconds) {
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`
}
