import { byId, element, write } from './dom.js'

/** The seconds in a strip. */
const LENGTH = 60
const STATUSES = ['200', '503', '401']
const TITLES = ['The key', 'The next key']

/** Section 4: a strip of squares for each of the last two keys. Each column of squares is one second. */
export function createLanes () {
  const lanes = TITLES.map(createLane)
  byId('lanes').append(...lanes.map(lane => lane.row))
  let second = 0

  return {
    get hasOld () { return lanes[1].state.kid !== undefined },
    /** Continues with this token: in the lane of its key, or in a new lane. */
    use ({ token, header: { kid } }) {
      const [first, next] = lanes
      const lane = lanes.find(lane => lane.state.kid === kid) ?? (first.state.kid === undefined ? first : next)
      if (lane === next && next.state.kid !== kid) {
        first.start('Old key', next.state.kid === undefined ? first.state : next.state)
        next.start('New key')
      }
      Object.assign(lane.state, { kid, token })
      lane.draw(second)
    },
    clear () {
      second = 0
      write('news', '')
      lanes.forEach((lane, index) => { lane.start(TITLES[index]) })
    },
    async pulse () {
      if (lanes[0].state.token === undefined) return
      second++
      const changes = await Promise.all(lanes.map(lane => lane.pulse(second)))
      const news = changes.filter(change => change !== undefined).join(', ')
      if (news !== '') write('news', news)
    }
  }
}

function createLane (title) {
  const name = element('b')
  const key = element('code')
  const last = element('span', { className: 'last' })
  const counts = element('span', { className: 'counts' })
  const strip = element('div', { className: 'strip' })
  strip.setAttribute('role', 'img')
  const lane = {
    row: element('div', { className: 'lane' }, element('p', {}, name, key, last, counts), strip),
    state: undefined,
    /** Starts empty, or with the state of another lane. */
    start (title, state = emptyState()) {
      name.textContent = title
      lane.state = state
      lane.draw(Math.max(0, ...state.squares.keys()))
    },
    draw (second) {
      const { kid, squares, last: newest } = lane.state
      key.textContent = kid?.slice(0, 8) ?? '–'
      key.title = kid ?? ''
      last.textContent = newest?.text ?? ''
      counts.replaceChildren(...STATUSES.map(status => {
        const count = lane.state.counts[status]
        return element('span', { className: count === 0 ? '' : `s${status}` }, `${count} × ${status}`)
      }))
      const from = Math.max(1, second - LENGTH + 1)
      strip.replaceChildren(...Array.from({ length: LENGTH }, (_, index) => {
        const square = squares.get(from + index)
        if (square === undefined) return element('i', {})
        return element('i', { className: `s${square.status}`, title: `${square.time} ${square.text}` })
      }))
      strip.setAttribute('aria-label', newest === undefined ? 'No requests yet' : `The last minute, now ${newest.text}`)
    },
    /** Sends one request with the token. Resolves with the news, if the status has changed. */
    async pulse (second) {
      const { state } = lane
      if (state.token !== undefined) {
        const before = state.last?.status
        state.last = await request(state.token)
        state.squares.set(second, state.last)
        state.squares.delete(second - LENGTH)
        if (state.last.status in state.counts) state.counts[state.last.status]++
        if (state.last.status !== before && lane.state === state) lane.news = `${name.textContent}: ${state.last.text}`
      }
      lane.draw(second)
      const { news } = lane
      lane.news = undefined
      return news
    }
  }
  lane.start(title)
  return lane
}

function emptyState () {
  return { kid: undefined, token: undefined, squares: new Map(), counts: { 200: 0, 503: 0, 401: 0 }, last: undefined }
}

async function request (token) {
  const time = new Date().toTimeString().slice(0, 8)
  try {
    const { status, headers } = await fetch('/demo/pulse', {
      headers: { authorization: `Bearer ${token}` }, credentials: 'omit'
    })
    const reason = headers.get('demo-reason')
    const wait = headers.get('retry-after')
    const text = `${status}${reason === null ? '' : ` ${reason}`}${wait === null ? '' : `, Retry-After ${wait} s`}`
    return { time, status: String(status), text }
  } catch {
    return { time, status: 'none', text: 'no response' }
  }
}
