import { runRoom } from '../fixtures/room.js'

runRoom('auth-server')
